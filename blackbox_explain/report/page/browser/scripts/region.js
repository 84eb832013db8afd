// The outline of a region, as a path over the pixels of the model's input.

function outlinePath({ width, height, region }) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && region[y * width + x] === 1;
  const parts = [];
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const start = x;
      while (x < width && inside(x, y - 1) !== inside(x, y)) x += 1;
      if (x > start) parts.push(`M${start} ${y}h${x - start}`);
    }
  }
  for (let x = 0; x <= width; x += 1) {
    for (let y = 0; y < height; y += 1) {
      const start = y;
      while (y < height && inside(x - 1, y) !== inside(x, y)) y += 1;
      if (y > start) parts.push(`M${x} ${start}v${y - start}`);
    }
  }
  return parts.join("");
}

// Puts an outline over a photo: a dark line and a bright one on it, seen on any ground.
function drawOutline(svg, card, map) {
  svg.setAttribute("viewBox", `0 0 ${map.width} ${map.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  place(svg, card.box);
  const path = outlinePath(map);
  svg.replaceChildren(drawing("path", { class: "dark", d: path }), drawing("path", { class: "bright", d: path }));
}

// Left, top, right and bottom as shares of what it lies on.
function place(node, [left, top, right, bottom]) {
  node.style.left = `${100 * left}%`;
  node.style.top = `${100 * top}%`;
  node.style.width = `${100 * (right - left)}%`;
  node.style.height = `${100 * (bottom - top)}%`;
}

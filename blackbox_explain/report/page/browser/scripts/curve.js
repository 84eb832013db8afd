// The measured curve of one card: its stops, and its drawing.

// What the slider stops at: nothing, each share of the curve, and the region.
function stopsOf(card) {
  const kept = page.game === "preservation";
  const stops = [{ share: 0, score: kept ? card.scorePerturbed : card.score, deleted: () => kept, region: false }];
  if (card.curve && card.ranked) {
    page.shares.forEach((share, index) => {
      const deleted = (map, pixel) => map.levels[pixel] <= index !== kept;
      stops.push({ share, score: card.curve[index], deleted, region: false });
    });
  }
  if (card.outlined && card.share > 0) {
    const deleted = (map, pixel) => (map.region[pixel] === 1) !== kept;
    const region = { share: card.share, score: card.scoreRegion, deleted, region: true };
    const same = stops.findIndex((stop) => Math.abs(stop.share - card.share) < 5e-4);
    if (same > 0) stops[same] = region;
    else stops.push(region);
  }
  return stops.sort((one, other) => one.share - other.share);
}

const AREA = { left: 38, top: 10, right: 342, bottom: 150, width: 360, height: 186 };

class Curve {
  constructor(svg) {
    this.svg = svg;
  }

  // Draws the curve of a card; `choose` is called with the number of the stop that is clicked at.
  show(card, stops, choose) {
    const known = stops.filter((stop) => stop.score !== null);
    const ends = scoreEnds([...cards.map((one) => one.score), ...known.map((stop) => stop.score), card.scorePerturbed]);
    const most = Math.max(0.5, ...stops.map((stop) => stop.share));
    this.x = (share) => AREA.left + (share / most) * (AREA.right - AREA.left);
    this.y = (score) => AREA.bottom - ((score - ends[0]) / (ends[1] - ends[0])) * (AREA.bottom - AREA.top);
    this.svg.setAttribute("viewBox", `0 0 ${AREA.width} ${AREA.height}`);
    const line = known.map((stop) => `${this.x(stop.share)},${this.y(stop.score)}`).join(" ");
    this.marker = drawing("g", { class: "marker" });
    const region = known.find((stop) => stop.region);
    this.svg.replaceChildren(
      ...this.axes(ends, most),
      ...this.reference(card),
      drawing("polyline", { class: "line", points: line }),
      ...known.filter((stop) => !stop.region).map((stop) => this.dot(stop, "dot", 2.5)),
      ...(region ? [this.dot(region, "region", 5.5)] : []),
      this.marker,
    );
    this.svg.onclick = (event) => {
      const shape = this.svg.getBoundingClientRect();
      const at = ((event.clientX - shape.left) / shape.width) * AREA.width;
      const far = stops.map((stop) => Math.abs(this.x(stop.share) - at));
      choose(far.indexOf(Math.min(...far)));
    };
  }

  axes(ends, most) {
    const parts = [];
    const middle = (ends[0] + ends[1]) / 2;
    for (const score of [ends[0], middle, ends[1]]) {
      const y = this.y(score);
      parts.push(drawing("line", { class: "grid", x1: AREA.left, x2: AREA.right, y1: y, y2: y }));
      const text = String(Number(score.toPrecision(3)));
      parts.push(drawing("text", { x: AREA.left - 6, y: y + 4, "text-anchor": "end" }, text));
    }
    for (let tenth = 0; tenth <= 10 * most + 1e-9; tenth += most > 0.5 ? 2 : 1) {
      const attributes = { x: this.x(tenth / 10), y: AREA.bottom + 15, "text-anchor": "middle" };
      parts.push(drawing("text", attributes, `${10 * tenth} %`));
    }
    const axis = page.game === "preservation" ? "share of the image that is kept" : `share of the image that is ${page.gone}`;
    const middleOf = { x: (AREA.left + AREA.right) / 2, y: AREA.height - 4, "text-anchor": "middle" };
    parts.push(drawing("text", middleOf, axis));
    return parts;
  }

  // The score to compare with: of the whole image perturbed, or of the whole image where shares are kept.
  reference(card) {
    const score = page.game === "preservation" ? card.score : card.scorePerturbed;
    if (score === null) return [];
    const y = this.y(score);
    return [drawing("line", { class: "reference", x1: AREA.left, x2: AREA.right, y1: y, y2: y })];
  }

  dot(stop, className, r) {
    const made = drawing("circle", { class: className, cx: this.x(stop.share), cy: this.y(stop.score), r });
    const what = stop.region ? "The region" : "Measured";
    made.append(drawing("title", {}, `${what}: ${percentText(stop.share)}, score ${scoreText(stop.score)}`));
    return made;
  }

  mark(stop) {
    const x = this.x(stop.share);
    const parts = [drawing("line", { x1: x, x2: x, y1: AREA.top, y2: AREA.bottom })];
    if (stop.score !== null) parts.push(drawing("circle", { cx: x, cy: this.y(stop.score), r: 4 }));
    this.marker.replaceChildren(...parts);
  }
}

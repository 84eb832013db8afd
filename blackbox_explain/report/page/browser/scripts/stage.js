// The photo of one card on a canvas, with what is deleted from it, and its region over it.

const MOST_BLURRED = 256;
const TINT = "#f97316";

class Stage {
  constructor(canvas, frame, outline) {
    this.canvas = canvas;
    this.frame = frame;
    this.outline = outline;
    this.card = null;
  }

  // Shows a card; false where another one was asked for before this one was ready.
  async show(card) {
    this.card = card;
    // Until these are there, a slider that is moved draws nothing: the photo before is of another card.
    this.photo = null;
    this.map = null;
    const [photo, map] = await Promise.all([
      card.photo === null ? null : photoOf(card).catch(() => null),
      card.map === null ? null : mapOf(card),
    ]);
    if (this.card !== card) return false;
    this.photo = photo;
    this.map = map;
    const [width, height] = card.size ?? card.grid ?? [4, 3];
    [this.canvas.width, this.canvas.height] = [width, height];
    this.frame.style.aspectRatio = `${width} / ${height}`;
    this.frame.style.setProperty("--shape", String(width / height));
    this.replaced = map && photo ? replacedPicture(photo, card, map) : null;
    this.outline.replaceChildren();
    if (card.outlined) drawOutline(this.outline, card, map);
    this.drawRead();
    this.drawObjects();
    return true;
  }

  // A frame around what the model reads, where that is not the whole photo.
  drawRead() {
    this.frame.querySelector(".read")?.remove();
    if (this.photo === null || !isCropped(this.card)) return;
    const read = element("div", "read");
    place(read, this.card.box);
    this.frame.insertBefore(read, this.outline);
  }

  // The boxes that people drew around the objects of the class.
  drawObjects() {
    for (const one of this.frame.querySelectorAll(".object")) one.remove();
    for (const box of this.photo === null ? [] : this.card.objects) {
      const drawn = element("div", "object");
      place(drawn, box);
      this.frame.insertBefore(drawn, this.outline);
    }
  }

  draw(stop, opacity) {
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.photo) context.drawImage(this.photo, 0, 0, this.canvas.width, this.canvas.height);
    if (this.replaced && this.map && stop) {
      const { left, top, width, height } = readPart(this.card, this.canvas);
      context.drawImage(this.cut(stop), left, top, width, height);
    }
    if (this.map && this.card.outlined && opacity > 0) {
      context.globalAlpha = opacity;
      this.overRead(context, this.painted((index) => this.map.region[index] === 1, TINT));
      context.globalAlpha = 1;
    }
    this.outline.style.opacity = String(Math.min(1, 3 * opacity));
  }

  // The replaced picture where pixels are deleted, and nothing elsewhere.
  cut(stop) {
    const made = newCanvas(this.replaced.width, this.replaced.height);
    const context = made.getContext("2d");
    const part = readPart(this.card, this.canvas);
    const [left, top, right, bottom] = this.card.box;
    const scale = { x: made.width / part.width, y: made.height / part.height };
    const deleted = this.painted((index) => stop.deleted(this.map, index), "#000");
    context.imageSmoothingEnabled = false;
    context.drawImage(
      deleted,
      (left * this.canvas.width - part.left) * scale.x,
      (top * this.canvas.height - part.top) * scale.y,
      (right - left) * this.canvas.width * scale.x,
      (bottom - top) * this.canvas.height * scale.y,
    );
    context.globalCompositeOperation = "source-in";
    context.drawImage(this.replaced, 0, 0);
    return made;
  }

  // Pixels of the model's input, in a colour where they are chosen.
  painted(chosen, colour) {
    const made = newCanvas(this.map.width, this.map.height);
    const context = made.getContext("2d");
    const pixels = context.createImageData(made.width, made.height);
    for (let index = 0; index < this.map.levels.length; index += 1) {
      if (chosen(index)) pixels.data[4 * index + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = colour;
    context.fillRect(0, 0, made.width, made.height);
    return made;
  }

  overRead(context, picture) {
    const [left, top, right, bottom] = this.card.box;
    const { width, height } = this.canvas;
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, left * width, top * height, (right - left) * width, (bottom - top) * height);
    context.imageSmoothingEnabled = true;
  }
}

// What the model reads of the photo itself, in its pixels: without the padding beyond it.
function readPart(card, { width, height }) {
  const left = Math.max(0, card.box[0]) * width;
  const top = Math.max(0, card.box[1]) * height;
  return { left, top, width: Math.min(1, card.box[2]) * width - left, height: Math.min(1, card.box[3]) * height - top };
}

// What stands in for deleted pixels, at the photo's resolution where it is sharp and at the model's where it is not.
function replacedPicture(photo, card, map) {
  const part = readPart(card, { width: photo.naturalWidth, height: photo.naturalHeight });
  const made = newCanvas(Math.max(1, Math.round(part.width)), Math.max(1, Math.round(part.height)));
  const context = made.getContext("2d");
  if (page.drawn === "black" || page.drawn === "grey") {
    context.fillStyle = page.drawn === "black" ? "#000" : "#808080";
    context.fillRect(0, 0, made.width, made.height);
    return made;
  }
  // Pixels of the model's input that lie on the photo.
  const across = map.width * (Math.min(1, card.box[2]) - Math.max(0, card.box[0])) / (card.box[2] - card.box[0]);
  const down = map.height * (Math.min(1, card.box[3]) - Math.max(0, card.box[1])) / (card.box[3] - card.box[1]);
  const less = Math.min(1, MOST_BLURRED / Math.max(across, down));
  const read = newCanvas(Math.max(1, Math.round(across * less)), Math.max(1, Math.round(down * less)));
  const small = read.getContext("2d", { willReadFrequently: true });
  small.imageSmoothingQuality = "high";
  small.drawImage(photo, part.left, part.top, part.width, part.height, 0, 0, read.width, read.height);
  const pixels = small.getImageData(0, 0, read.width, read.height);
  if (page.drawn === "blur") blurred(pixels, card.sigma * less);
  else if (page.drawn === "mean") averaged(pixels);
  else noisy(pixels);
  small.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = page.drawn !== "noise";
  context.imageSmoothingQuality = "high";
  context.drawImage(read, 0, 0, made.width, made.height);
  return made;
}

// A Gaussian blur, row by row and column by column, whose weights are normalised at the borders.
function blurred({ data, width, height }, sigma) {
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: reach + 1 }, (_, far) => Math.exp((-far * far) / (2 * sigma * sigma)));
  const along = (from, to, count, step, start) => {
    for (let place = 0; place < count; place += 1) {
      let [total, red, green, blue] = [0, 0, 0, 0];
      for (let other = Math.max(0, place - reach); other <= Math.min(count - 1, place + reach); other += 1) {
        const weight = weights[Math.abs(other - place)];
        const index = 4 * (start + other * step);
        total += weight;
        red += weight * from[index];
        green += weight * from[index + 1];
        blue += weight * from[index + 2];
      }
      const index = 4 * (start + place * step);
      to[index] = red / total;
      to[index + 1] = green / total;
      to[index + 2] = blue / total;
    }
  };
  const half = new Float32Array(data.length);
  for (let row = 0; row < height; row += 1) along(data, half, width, 1, row * width);
  for (let column = 0; column < width; column += 1) along(half, data, height, width, column);
}

function averaged({ data }) {
  for (let channel = 0; channel < 3; channel += 1) {
    let total = 0;
    for (let index = channel; index < data.length; index += 4) total += data[index];
    for (let index = channel; index < data.length; index += 4) data[index] = (4 * total) / data.length;
  }
}

function noisy({ data }) {
  let state = 1;
  for (let index = 0; index < data.length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    if (index % 4 !== 3) data[index] = state >>> 24;
  }
}

// What the page was given: facts as JSON, files as text of seven bits in each character (packing.py).

const page = JSON.parse(document.getElementById("page-data").textContent);
const cards = page.cards;

// Characters of two bytes are pairs: one of these, and another.
const FIRST_PAIR = 0x80;
const CHANGED = [0x00, 0x0d, 0x3c];

function unpacked(id) {
  const { textContent: text, dataset } = document.getElementById(id);
  const bytes = new Uint8Array(Number(dataset.bytes));
  let held = 0;
  let bits = 0;
  let place = 0;
  const add = (seven) => {
    held = ((held << 7) | seven) & 0x7fff;
    bits += 7;
    if (bits < 8) return;
    bits -= 8;
    bytes[place] = held >> bits;
    place += 1;
  };
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= FIRST_PAIR) add(CHANGED[(code - FIRST_PAIR) >> 7]);
    add(code & 0x7f);
  }
  return bytes;
}

const photoAddresses = new Map();

// The address of a card's photo; one for each photo, made when it is first seen.
function photoAddress(card) {
  if (!photoAddresses.has(card.photo)) {
    const file = new Blob([unpacked(`photo-${card.photo}`)]);
    photoAddresses.set(card.photo, URL.createObjectURL(file));
  }
  return photoAddresses.get(card.photo);
}

async function photoOf(card) {
  const photo = new Image();
  photo.src = photoAddress(card);
  await photo.decode();
  return photo;
}

// For each pixel of the model's input: at how many shares it is not yet deleted, and whether it is in the region.
async function mapOf(card) {
  const [width, height] = card.grid;
  const file = new Blob([unpacked(`map-${card.map}`)], { type: "image/webp" });
  const picture = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const context = newCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  picture.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const levels = new Uint8Array(width * height);
  const region = new Uint8Array(width * height);
  for (let index = 0; index < levels.length; index += 1) {
    levels[index] = pixels[4 * index] >> 1;
    region[index] = 1 - (pixels[4 * index] & 1);
  }
  return { width, height, levels, region };
}

function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

// What the page was given: facts as JSON, files as text of seven bits in each character (packing.py).

const page = JSON.parse(document.getElementById("page-data").textContent);
const cards = page.cards;

// Stand-ins of packing.py, from "À" on, and what they stand for.
const FIRST_STAND_IN = 0xc0;
const STOOD_FOR = [0x00, 0x0d, 0x2f, 0x21];

function unpacked(id) {
  const text = document.getElementById(id).textContent;
  const bytes = new Uint8Array(Math.floor((text.length * 7) / 8));
  let held = 0;
  let bits = 0;
  let place = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    held = ((held << 7) | (code < 128 ? code : STOOD_FOR[code - FIRST_STAND_IN])) & 0x7fff;
    bits += 7;
    if (bits >= 8) {
      bits -= 8;
      bytes[place] = held >> bits;
      place += 1;
    }
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

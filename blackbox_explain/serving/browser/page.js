"use strict";
// Draw on the photo, ask the model, show what it says; and lay the maps of methods over it.

const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");
const screen = canvas.getContext("2d");
const drawing = document.createElement("canvas");
const ink = drawing.getContext("2d", { willReadFrequently: true });
const MOST = 1400;

let facts = null;
let photo = null;
let tool = "box";
let start = null;
let cursor = null;
let answer = null;
let pictures = {};
let layer = null;
let asked = 0;
let waiting = null;

const picture = (address) =>
  new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = address;
  });

const text = (score) => (Math.abs(score) >= 0.001 || score === 0 ? score.toFixed(3) : score.toExponential(1));

function say(words, wrong = false) {
  byId("message").textContent = words;
  byId("message").classList.toggle("wrong", wrong);
}

async function json(address, options) {
  const response = await fetch(address, options);
  const found = await response.json();
  if (!response.ok) throw new Error(found.error ?? `status ${response.status}`);
  return found;
}

// Left, top, width and height of what the model reads, in pixels of the canvas.
function part() {
  const scale = canvas.width / facts.size[0];
  const [left, top, right, bottom] = facts.part.map((one) => one * scale);
  return [left, top, right - left, bottom - top];
}

function tinted(image, colour) {
  const made = document.createElement("canvas");
  [made.width, made.height] = [image.width, image.height];
  const context = made.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, made.width, made.height);
  for (let place = 0; place < pixels.data.length; place += 4) {
    const value = pixels.data[place];
    pixels.data.set([...colour, value], place);
  }
  context.putImageData(pixels, 0, 0);
  return made;
}

// A line around what is drawn: white alone is hard to see on bright photos.
function edge() {
  const made = document.createElement("canvas");
  [made.width, made.height] = [canvas.width, canvas.height];
  const context = made.getContext("2d");
  const wide = Math.max(2, canvas.width / 400);
  for (const [x, y] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) context.drawImage(drawing, wide * x, wide * y);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = "#ffb454";
  context.fillRect(0, 0, made.width, made.height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(drawing, 0, 0);
  return made;
}

function show() {
  screen.clearRect(0, 0, canvas.width, canvas.height);
  screen.drawImage(photo, 0, 0, canvas.width, canvas.height);
  const view = byId("view").value;
  const frame = part();
  if (view !== "photo" && pictures[view]) {
    screen.save();
    screen.fillStyle = "rgb(0 0 0 / 55%)";
    screen.fillRect(0, 0, canvas.width, canvas.height);
    screen.drawImage(pictures[view], ...frame);
    screen.restore();
  } else {
    if (layer) {
      // Under colours the photo is grey, as in the pictures of the package.
      screen.filter = "grayscale(1) brightness(0.75)";
      screen.drawImage(photo, 0, 0, canvas.width, canvas.height);
      screen.filter = "none";
      screen.globalAlpha = Number(byId("opacity").value) / 100;
      screen.drawImage(layer.map, ...frame);
      screen.globalAlpha = 1;
    }
    screen.globalAlpha = 0.5;
    screen.drawImage(drawing, 0, 0);
    screen.globalAlpha = 1;
    screen.drawImage(edge(), 0, 0);
  }
  screen.setLineDash([7, 5]);
  screen.lineWidth = 2;
  screen.strokeStyle = "white";
  screen.strokeRect(...frame);
  screen.setLineDash([]);
  if (cursor && tool === "box") {
    screen.strokeStyle = "#ffb454";
    screen.strokeRect(...cursor);
  }
}

function place(event) {
  const around = canvas.getBoundingClientRect();
  const scale = canvas.width / around.width;
  return [(event.clientX - around.left) * scale, (event.clientY - around.top) * scale];
}

function rectangle([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
}

function stroke(from, to) {
  ink.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
  ink.strokeStyle = "white";
  ink.lineCap = "round";
  ink.lineWidth = (Number(byId("size").value) / 100) * canvas.width;
  ink.beginPath();
  ink.moveTo(...from);
  ink.lineTo(...to);
  ink.stroke();
  ink.globalCompositeOperation = "source-over";
}

function fill(box) {
  ink.fillStyle = "white";
  ink.fillRect(...box);
}

function list(id, rows) {
  byId(id).replaceChildren(
    ...rows.map(([name, score]) => {
      const item = document.createElement("li");
      const words = document.createElement("span");
      const number = document.createElement("span");
      words.textContent = name;
      number.textContent = text(score);
      item.append(words, number);
      return item;
    }),
  );
}

function bars(rows) {
  const most = Math.max(...rows.map(([, score]) => Math.abs(score)), 1e-12);
  byId("scores").tBodies[0].replaceChildren(
    ...rows.map(([name, score]) => {
      const row = document.createElement("tr");
      const cells = [0, 1, 2].map(() => row.insertCell());
      cells[0].textContent = name;
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.style.width = `${(100 * Math.max(0, score)) / most}%`;
      cells[1].append(bar);
      cells[1].style.width = "45%";
      cells[2].textContent = text(score);
      return row;
    }),
  );
  byId("scores").hidden = false;
}

// Ask after the last stroke; an answer that is overtaken by a later question is dropped.
function soon() {
  show();
  clearTimeout(waiting);
  waiting = setTimeout(ask, 150);
}

async function ask() {
  const number = ++asked;
  const flat = document.createElement("canvas");
  [flat.width, flat.height] = [drawing.width, drawing.height];
  const context = flat.getContext("2d");
  context.fillStyle = "black";
  context.fillRect(0, 0, flat.width, flat.height);
  context.drawImage(drawing, 0, 0);
  const body = await new Promise((resolve) => flat.toBlob(resolve, "image/png"));
  byId("busy").hidden = false;
  try {
    const found = await json(`ask?perturbation=${encodeURIComponent(byId("perturbation").value)}`, { method: "POST", body });
    if (number !== asked) return;
    answer = found;
    pictures = {
      without: await picture(found.pictures.without),
      alone: await picture(found.pictures.alone),
    };
    const row = found.row;
    say(`Without ${(100 * row.share).toFixed(1)} % of the image, ${found.target} goes from ${text(found.score)} to ${text(row.without)}; of it alone it is ${text(row.alone)}.`);
    bars([["the photo", found.score], ["without it", row.without], ["of it alone", row.alone], ["all deleted", found.score_perturbed]]);
    list("without", row.leading_without);
    list("alone", row.leading_alone);
  } catch (error) {
    if (number === asked) say(error.message, true);
  } finally {
    if (number === asked) byId("busy").hidden = true;
    show();
  }
}

async function learn() {
  const method = byId("method").value;
  byId("learn").disabled = true;
  byId("layer").textContent = `${method} is asking the model …`;
  try {
    const found = await json(`layers/${encodeURIComponent(method)}`, { method: "POST" });
    layer = {
      map: tinted(await picture(found.map), [255, 140, 0]),
      region: tinted(await picture(found.region), [255, 255, 255]),
    };
    byId("layer").textContent = `${found.method}: its region is ${(100 * found.share).toFixed(1)} % of the image; without it ${found.target} goes from ${text(found.score)} to ${text(found.score_region)} (${found.outcome}).`;
    byId("use").disabled = false;
  } catch (error) {
    byId("layer").textContent = error.message;
  }
  byId("learn").disabled = false;
  show();
}

function choose(name) {
  tool = name;
  for (const one of ["box", "brush", "erase"]) byId(one).setAttribute("aria-pressed", String(one === name));
}

canvas.addEventListener("pointerdown", (event) => {
  byId("view").value = "photo";
  canvas.setPointerCapture(event.pointerId);
  start = place(event);
  if (tool !== "box") stroke(start, start);
  show();
});
canvas.addEventListener("pointermove", (event) => {
  if (!start) return;
  const now = place(event);
  if (tool === "box") {
    cursor = rectangle(start, now);
  } else {
    stroke(start, now);
    start = now;
  }
  show();
});
canvas.addEventListener("pointerup", (event) => {
  if (!start) return;
  if (tool === "box") {
    const box = rectangle(start, place(event));
    if (box[2] > 2 && box[3] > 2) fill(box);
    cursor = null;
  }
  start = null;
  soon();
});
canvas.addEventListener("keydown", (event) => {
  const step = canvas.width / 28;
  const [x, y, width, height] = cursor ?? [canvas.width * 0.4, canvas.height * 0.4, canvas.width * 0.2, canvas.height * 0.2];
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (event.key in moves) {
    const [across, down] = moves[event.key];
    choose("box");
    cursor = event.shiftKey
      ? [x, y, Math.max(step, width + across), Math.max(step, height + down)]
      : [x + across, y + down, width, height];
    event.preventDefault();
    show();
  } else if (event.key === "Enter" && cursor) {
    fill(cursor);
    soon();
  }
});
document.addEventListener("keydown", (event) => {
  const tools = { b: "box", p: "brush", e: "erase" };
  if (!event.ctrlKey && !event.metaKey && event.key in tools && event.target.tagName !== "SELECT") choose(tools[event.key]);
});
for (const name of ["box", "brush", "erase"]) byId(name).addEventListener("click", () => choose(name));
byId("clear").addEventListener("click", () => {
  ink.clearRect(0, 0, drawing.width, drawing.height);
  asked += 1;
  [answer, pictures, cursor] = [null, {}, null];
  byId("scores").hidden = true;
  for (const id of ["without", "alone"]) byId(id).replaceChildren();
  say("Draw a box over something.");
  show();
});
byId("invert").addEventListener("click", () => {
  ink.globalCompositeOperation = "xor";
  ink.fillStyle = "white";
  ink.fillRect(0, 0, drawing.width, drawing.height);
  ink.globalCompositeOperation = "source-over";
  soon();
});
byId("view").addEventListener("change", show);
byId("opacity").addEventListener("input", show);
byId("perturbation").addEventListener("change", () => answer && ask());
byId("learn").addEventListener("click", learn);
byId("use").addEventListener("click", () => {
  ink.clearRect(0, 0, drawing.width, drawing.height);
  ink.drawImage(layer.region, ...part());
  soon();
});

async function begin() {
  [facts, photo] = await Promise.all([json("facts"), picture("photo.jpg")]);
  const scale = Math.min(1, MOST / Math.max(...facts.size));
  for (const one of [canvas, drawing]) [one.width, one.height] = facts.size.map((size) => Math.round(size * scale));
  document.title = `Interrogate ${facts.name}`;
  byId("about").textContent = facts.name;
  for (const [id, names] of [["perturbation", facts.perturbations], ["method", facts.methods]]) {
    byId(id).replaceChildren(...names.map((name) => new Option(name, name)));
  }
  show();
  document.documentElement.dataset.ready = "yes";
}
begin().catch((error) => say(error.message, true));

// The gallery: which cards are shown and in which order, and their small pictures, made when they come into view.

const AT_ONCE = 120;
const wanted = { text: "", target: "", outcome: "", finding: "", sort: "order", reversed: false };

// What each finding names, the clearest first; by position in the data, whose cards may be several.
const findingOrder = new Map(
  page.findings.map((finding) => [finding.name, new Map(finding.positions.map((place, index) => [place, index]))]),
);

const severalMethods = new Set(cards.map((card) => card.method).filter((method) => method !== "")).size > 1;

let chosen = cards;
let shown = 0;

function hasFinding(card, name) {
  return card.findings.includes(name) || (findingOrder.get(name)?.has(card.position) ?? false);
}

function isWanted(card) {
  const text = `${card.path}\n${card.target}\n${card.label}\n${card.method}`.toLowerCase();
  return (
    wanted.text.toLowerCase().split(/\s+/).every((word) => text.includes(word)) &&
    (wanted.target === "" || card.target === wanted.target) &&
    (wanted.outcome === "" || card.outcome === wanted.outcome) &&
    (wanted.finding === "" || hasFinding(card, wanted.finding))
  );
}

const keys = {
  order: (card) => {
    const order = findingOrder.get(wanted.finding) ?? new Map();
    return order.get(card.position) ?? order.size + card.position;
  },
  target: (card) => card.target,
  label: (card) => card.label,
  score: (card) => card.score,
  share: (card) => card.share,
  outcome: (card) => card.outcome,
  path: (card) => card.path,
};

const words = new Intl.Collator("en", { numeric: true });

// What has no value comes last, whichever way.
function compared(one, other) {
  const [first, second] = [keys[wanted.sort](one), keys[wanted.sort](other)];
  const missing = (value) => value === null || value === "";
  if (missing(first) || missing(second)) return Number(missing(first)) - Number(missing(second));
  const order = typeof first === "string" ? words.compare(first, second) : first - second;
  return wanted.reversed ? -order : order;
}

function small(card) {
  const thumb = element("span", "thumb");
  const photo = element("span", "photo");
  thumb.append(photo);
  if (card.size) {
    const shape = card.size[0] / card.size[1];
    photo.style.aspectRatio = String(shape);
    photo.style.width = `${Math.min(100, (100 * shape) / (4 / 3))}%`;
  }
  return thumb;
}

function cardButton(card, index) {
  const button = element("button", `card ${card.outcome}`);
  button.type = "button";
  button.dataset.card = String(index);
  const numbers = element("span", "numbers");
  if (card.score !== null) numbers.append(element("span", "", `score ${scoreText(card.score, 2)}`));
  if (card.share !== null) numbers.append(element("span", "", `region ${percentText(card.share)}`));
  button.append(small(card), element("strong", "", card.target || "no answer"));
  if (severalMethods && card.method !== "") button.append(element("span", "method", `by ${card.method}`));
  button.append(numbers);
  if (card.outcome !== "ok") numbers.append(element("span", `chip ${card.outcome}`, card.outcome));
  if (mistaken(card)) button.append(element("span", "mistake", `labelled ${card.label}`));
  button.append(element("span", "name", fileName(card)));
  button.title = card.path;
  const said = [card.target, fileName(card), `score ${scoreText(card.score, 3)}`, `region ${percentText(card.share)}`];
  if (severalMethods && card.method !== "") said.push(`by ${card.method}`);
  if (card.label) said.push(`labelled ${card.label}`);
  button.setAttribute("aria-label", `${said.join(", ")}, ${card.outcome}. Look at it.`);
  return button;
}

async function fill(button) {
  const card = cards[Number(button.dataset.card)];
  const photo = button.querySelector(".photo");
  if (card.photo === null) {
    photo.append(element("span", "none", "no photo"));
    return;
  }
  const image = element("img");
  image.alt = "";
  image.decoding = "async";
  image.src = photoAddress(card);
  photo.append(image);
  if (!card.outlined) return;
  const outline = drawing("svg", { class: "outline", "aria-hidden": "true" });
  drawOutline(outline, card, await mapOf(card));
  photo.append(outline);
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      fill(entry.target);
    }
  },
  { rootMargin: "400px" },
);

function showMore() {
  const upTo = Math.min(chosen.length, shown + AT_ONCE);
  const items = chosen.slice(shown, upTo).map((card) => {
    const item = element("li");
    const button = cardButton(card, cards.indexOf(card));
    item.append(button);
    watcher.observe(button);
    return item;
  });
  byId("gallery").append(...items);
  shown = upTo;
  const left = chosen.length - shown;
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show ${Math.min(AT_ONCE, left)} of ${left} more`;
}

function showGallery() {
  chosen = cards.filter(isWanted).sort(compared);
  shown = 0;
  watcher.disconnect();
  byId("gallery").replaceChildren();
  showMore();
  const all = chosen.length === cards.length;
  byId("count").textContent = all ? `${cards.length} shown` : `${chosen.length} of ${cards.length} shown`;
  byId("sort").options[0].textContent = wanted.finding ? "the clearest first" : "order of the data";
  byId("clear").hidden = !(wanted.text || wanted.target || wanted.outcome || wanted.finding);
  for (const button of document.querySelectorAll(".show-finding")) {
    button.setAttribute("aria-pressed", String(button.dataset.finding === wanted.finding));
  }
  showHistograms(chosen);
}

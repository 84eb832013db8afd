// One image at a time: its photo and sliders, its numbers, and the way to the ones beside it.

const detail = byId("detail");
const stage = new Stage(byId("canvas"), byId("stage"), byId("outline"));
const curve = new Curve(byId("curve"));

let current = null;
let stops = [];

function open(card) {
  if (!detail.open) detail.showModal();
  document.documentElement.classList.add("looking");
  byId("detail-title").focus({ preventScroll: true });
  show(card);
}

async function show(card) {
  current = card;
  stops = stopsOf(card);
  const place = chosen.indexOf(card);
  byId("detail-title").textContent = card.target || fileName(card);
  byId("detail-path").textContent = card.path;
  byId("detail-place").textContent = `${place + 1} of ${chosen.length}`;
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place < 0 || place === chosen.length - 1;
  byId("message").hidden = card.message === "" && card.outcome === "ok";
  byId("message").textContent = card.message === "" ? card.outcome : `${card.outcome}: ${card.message}`;
  byId("message").className = `message ${card.outcome}`;
  byId("sentence").textContent = sentence(card);
  byId("amount").max = String(stops.length - 1);
  byId("amount").value = String(firstStop());
  byId("amount").disabled = stops.length < 2;
  byId("opacity").disabled = !card.outlined;
  byId("to-slide").hidden = stops.length < 2;
  byId("stage").parentElement.hidden = card.photo === null && card.map === null;
  const curved = stops.length > 1;
  byId("curve").parentElement.hidden = !curved;
  if (curved) curve.show(card, stops, (number) => move(number));
  showLeading(card);
  showPairs("certificate", card.certificate.map(([what, number]) => [what, scoreText(number, 2)]));
  showPairs("about", aboutOf(card));
  detail.querySelector(".sheet").scrollTop = 0;
  byId("canvas").setAttribute("aria-label", `Photo ${fileName(card)}`);
  detail.dataset.ready = "";
  if (await stage.show(card)) {
    byId("no-photo").hidden = stage.photo !== null;
    byId("objects").hidden = stage.photo === null || card.objects.length === 0;
    redraw();
    detail.dataset.ready = "yes";
  }
}

// The photo as it is; of preservation, whose first stop keeps nothing, with the region.
function firstStop() {
  if (page.game === "deletion") return 0;
  const region = stops.findIndex((stop) => stop.region);
  return region >= 0 ? region : stops.length - 1;
}

function move(number) {
  byId("amount").value = String(number);
  redraw();
}

function redraw() {
  const stop = stops[Number(byId("amount").value)];
  const opacity = Number(byId("opacity").value) / 100;
  stage.draw(stop, opacity);
  const region = stop.region ? " (the region)" : "";
  const told = `${percentText(stop.share)}${region} · score ${scoreText(stop.score)}`;
  byId("amount-value").textContent = told;
  byId("amount").setAttribute("aria-valuetext", told);
  byId("opacity-value").textContent = `${Math.round(100 * opacity)} %`;
  if (stops.length > 1) curve.mark(stop);
}

function sentence(card) {
  if (card.score === null) return "There is no explanation of this image.";
  const [before, region, fully] = [card.score, card.scoreRegion, card.scorePerturbed].map((one) => scoreText(one));
  const image = isCropped(card) ? "part that the model reads (the dashed frame)" : "image";
  const whole = `With the whole ${image} ${page.gone} it is ${fully}.`;
  if (!(card.share > 0)) return `No region was found. The score is ${before}. ${whole}`;
  const but = page.game === "deletion" ? "" : "all but ";
  const part = `With ${but}the region (${percentText(card.share)} of the ${image}) ${page.gone}`;
  return `${part}, the score goes from ${before} to ${region}. ${whole}`;
}

function showLeading(card) {
  const most = Math.max(...card.leading.map(([, score]) => score), 0);
  const probable = most <= 1;
  byId("leading").parentElement.hidden = card.leading.length === 0;
  byId("leading").replaceChildren(
    ...card.leading.map(([name, score]) => {
      const item = element("li");
      if (name === card.target) item.className = "explained";
      const bar = element("span", "bar");
      bar.style.width = `${Math.max(0, (100 * score) / (probable ? 1 : most))}%`;
      const named = element("span", "class", name);
      if (name === card.label) named.append(element("span", "chip true", "true class"));
      item.append(named, element("span", "score", scoreText(score)), bar);
      return item;
    }),
  );
}

function aboutOf(card) {
  const parts = [["outcome", card.outcome]];
  if (card.label !== "") parts.push(["true class", card.label]);
  if (card.method !== "") parts.push(["method", card.method]);
  parts.push(["game", page.game]);
  const named = page.findings.map((finding) => finding.name).filter((name) => hasFinding(card, name));
  if (named.length > 0) parts.push(["findings", named.join(", ")]);
  return parts;
}

function showPairs(id, pairs) {
  byId(`${id}-section`).hidden = pairs.length === 0;
  byId(id).replaceChildren(
    ...pairs.map(([what, value]) => {
      const pair = element("div");
      pair.append(element("dt", "", what), element("dd", "", value));
      return pair;
    }),
  );
}

function step(by) {
  const next = chosen[chosen.indexOf(current) + by];
  if (next) show(next);
}

function startDetail() {
  const gone = page.game === "deletion" ? page.gone : "kept";
  byId("amount-label").textContent = page.game === "deletion" ? "Deleted" : "Kept";
  byId("amount").setAttribute("aria-label", `Share of the image that is ${gone}`);
  byId("curve-title").textContent = page.game === "deletion" ? "Score as more is deleted" : "Score as more is kept";
  byId("reference-name").textContent =
    page.game === "deletion" ? `the whole image ${page.gone}` : "the whole image as it is";
  const likeness = page.drawn === "blur" ? "the blur" : "what stands in for deleted pixels";
  byId("drawn").textContent =
    `Your browser draws ${likeness}, close to what the model was shown. The score is the one that was measured.`;
  byId("opacity").addEventListener("input", redraw);
  byId("amount").addEventListener("input", redraw);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => detail.close());
  detail.addEventListener("click", (event) => {
    if (event.target === detail) detail.close();
  });
  detail.addEventListener("keydown", (event) => {
    // On a slider, arrows move the slider.
    if (event.target.type === "range" || event.altKey || event.ctrlKey || event.metaKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step(by);
  });
  detail.addEventListener("close", () => {
    document.documentElement.classList.remove("looking");
    // Back to where one was: the card that was looked at last, if it is on the page.
    document.querySelector(`[data-card="${cards.indexOf(current)}"]`)?.focus();
  });
}

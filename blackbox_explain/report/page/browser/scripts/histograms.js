// How large regions are and how sure the model is: of the images that are shown, before those of all.

const BINS = 25;
const WIDE = 260;
const TALL = 64;

const counted = (values, [low, high]) => {
  const counts = new Array(BINS).fill(0);
  for (const value of values) {
    if (value === null) continue;
    const bin = Math.floor(((value - low) / (high - low)) * BINS);
    counts[Math.min(BINS - 1, Math.max(0, bin))] += 1;
  }
  return counts;
};

function showHistogram(svg, what, some, all, ends, worded) {
  const totals = counted(all, ends);
  const most = Math.max(1, ...totals);
  const bar = (className) => (count, index) => {
    const height = (count / most) * TALL;
    const [x, y] = [(index * WIDE) / BINS + 0.5, TALL - height];
    return drawing("rect", { class: className, x, y, width: WIDE / BINS - 1, height });
  };
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${TALL + 1}`);
  svg.setAttribute("aria-label", `${what} of ${some.length} images, from ${worded(ends[0])} to ${worded(ends[1])}`);
  svg.replaceChildren(
    ...totals.map(bar("all")),
    ...counted(some, ends).map(bar("some")),
    drawing("line", { x1: 0, y1: TALL, x2: WIDE, y2: TALL }),
  );
  const [low, high] = svg.parentElement.querySelectorAll(".ends span");
  low.textContent = worded(ends[0]);
  high.textContent = worded(ends[1]);
}

const SCORE_ENDS = scoreEnds(cards.map((card) => card.score));

function showHistograms(some) {
  const of = (name) => [some.map((card) => card[name]), cards.map((card) => card[name])];
  showHistogram(byId("share-histogram"), "Sizes of the regions", ...of("share"), [0, 0.5], (end) => `${100 * end}\u00a0%`);
  showHistogram(byId("score-histogram"), "Scores", ...of("score"), SCORE_ENDS, (end) => `${Number(end.toPrecision(3))}`);
}

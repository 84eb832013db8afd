// What happens when something is pressed or typed.

function startTheme() {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const name = () => {
    byId("theme").textContent = isDark() ? "Light" : "Dark";
    byId("theme").setAttribute("aria-label", `Show the page ${isDark() ? "light" : "dark"}`);
  };
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
  });
  dark.addEventListener("change", name);
  name();
}

function startFilters() {
  const counts = new Map();
  for (const card of cards) counts.set(card.target, (counts.get(card.target) ?? 0) + 1);
  for (const target of [...counts.keys()].filter(Boolean).sort(words.compare)) {
    const option = element("option", "", `${target} (${counts.get(target)})`);
    option.value = target;
    byId("target").append(option);
  }
  for (const name of ["text", "target", "outcome", "finding", "sort"]) {
    byId(name)?.addEventListener("input", (event) => {
      wanted[name] = event.target.value;
      showGallery();
    });
  }
  byId("direction").addEventListener("click", () => {
    wanted.reversed = !wanted.reversed;
    byId("direction").setAttribute("aria-pressed", String(wanted.reversed));
    byId("direction").firstElementChild.textContent = wanted.reversed ? "↓" : "↑";
    showGallery();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", (event) => {
    event.preventDefault();
    only({});
    byId("text").focus();
  });
  for (const button of document.querySelectorAll(".show-finding")) {
    const name = button.dataset.finding;
    const here = cards.filter((card) => hasFinding(card, name)).length;
    button.disabled = here === 0;
    if (here === 0) button.textContent = "None on this page";
    button.addEventListener("click", () => {
      only(wanted.finding === name ? {} : { finding: name });
      if (wanted.finding) byId("images").scrollIntoView();
    });
  }
  for (const button of document.querySelectorAll(".tile")) {
    button.addEventListener("click", () => {
      only({ target: button.dataset.target });
      byId("images").scrollIntoView();
    });
  }
}

// Filters by these alone.
function only(filters) {
  Object.assign(wanted, { text: "", target: "", outcome: "", finding: "" }, filters);
  for (const name of ["text", "target", "outcome", "finding"]) if (byId(name)) byId(name).value = wanted[name];
  showGallery();
}

function startGallery() {
  byId("gallery").addEventListener("click", (event) => {
    const button = event.target.closest(".card");
    if (button) open(cards[Number(button.dataset.card)]);
  });
  byId("more").addEventListener("click", () => {
    const first = shown;
    showMore();
    byId("gallery").children[first]?.firstElementChild.focus();
  });
}

// Pictures that were not in view yet are made before the page is printed.
async function print() {
  const buttons = [...document.querySelectorAll(".card")].filter((button) => !button.querySelector("img, .none"));
  for (const button of buttons) watcher.unobserve(button);
  await Promise.all(buttons.map(fill));
  await Promise.all([...document.querySelectorAll(".card img")].map((image) => image.decode()));
  window.print();
}

async function copy() {
  const range = document.createRange();
  range.selectNodeContents(byId("command"));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  try {
    await navigator.clipboard.writeText(byId("command").textContent);
    byId("copy").textContent = "Copied";
  } catch {
    byId("copy").textContent = "Selected: press Ctrl+C";
  }
}

byId("print").addEventListener("click", print);
byId("copy")?.addEventListener("click", copy);
startTheme();
startFilters();
startGallery();
startDetail();
showGallery();
document.documentElement.dataset.ready = "yes";

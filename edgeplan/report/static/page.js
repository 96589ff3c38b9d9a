// What every page does: theme, data, and charts that are drawn when they come into view.
(() => {
  const root = document.documentElement;
  const THEMES = ["system", "light", "dark"];

  // -- data ---------------------------------------------------------------------------------

  async function unpack(element) {
    const text = atob(element.textContent.trim());
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  // The value of a block of data that the page carries.
  async function data(name) {
    const element = document.getElementById(`data-${name}`);
    if (!element) return null;
    const packed = element.type === "application/x-packed-json";
    return JSON.parse(packed ? await unpack(element) : element.textContent);
  }

  let library = null;

  // The charts' library: its text becomes a script, whose hash the page's policy names.
  function plotly() {
    library ??= (async () => {
      const script = document.createElement("script");
      script.textContent = await unpack(document.getElementById("library"));
      document.head.append(script);
      return window.Plotly;
    })();
    return library;
  }

  // -- theme --------------------------------------------------------------------------------

  const listeners = [];

  function stored() {
    try {
      return localStorage.getItem("edgeplan-theme");
    } catch {
      return null; // a page opened from a file may have no storage
    }
  }

  function setTheme(name) {
    if (name === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", name);
    try {
      localStorage.setItem("edgeplan-theme", name);
    } catch {
      // then it holds until the page is closed
    }
    const words = { system: "as the system", light: "light", dark: "dark" };
    const button = document.getElementById("theme");
    button.textContent = `Theme: ${words[name]}`;
    button.dataset.now = name;
    listeners.forEach((listener) => listener());
  }

  function startTheme() {
    const button = document.getElementById("theme");
    button.hidden = false;
    setTheme(THEMES.includes(stored()) ? stored() : "system");
    button.addEventListener("click", () => {
      setTheme(THEMES[(THEMES.indexOf(button.dataset.now) + 1) % THEMES.length]);
    });
    const changed = () => listeners.forEach((listener) => listener());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  }

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  // Puts colours in the place of their names ("--ink"), however deep they are.
  function coloured(value) {
    if (typeof value === "string") return value.startsWith("--") ? colour(value) : value;
    if (Array.isArray(value)) {
      const numbers = typeof value[0] === "number" && typeof value[value.length - 1] === "number";
      return numbers ? value : value.map(coloured);
    }
    if (ArrayBuffer.isView(value) || value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item)]));
  }

  // -- charts -------------------------------------------------------------------------------

  const AXIS = {
    gridcolor: "--line", linecolor: "--line", zerolinecolor: "--line", tickcolor: "--line",
    automargin: true, title: { standoff: 8 },
  };

  // A figure's layout with what all have in common.
  function layoutOf(layout, height) {
    const axes = { xaxis: {}, yaxis: {} };
    for (const key of Object.keys(layout)) if (/^[xy]axis\d*$/.test(key)) axes[key] = layout[key];
    const common = {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: "--ink" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 56, r: 16, t: 16, b: 48 },
      hoverlabel: { bgcolor: "--card", bordercolor: "--line", font: { color: "--ink" } },
      legend: { orientation: "h", y: -0.2, yanchor: "top" },
      autosize: true, height,
    };
    const full = { ...common, ...layout };
    for (const [key, axis] of Object.entries(axes)) {
      full[key] = { ...AXIS, ...axis, title: { ...AXIS.title, ...axis.title } };
    }
    return coloured(full);
  }

  const CONFIG = { displaylogo: false, responsive: true, showTips: false };

  // Draws a chart in an element now, and again with other colours when the theme changes.
  // `make` returns {data, layout}; the element then has redraw().
  async function draw(element, make, config = {}) {
    const Plotly = await plotly();
    const height = Number(element.dataset.height) || 380;
    const narrow = Number(element.dataset.narrowHeight) || Math.min(height, Math.round(innerWidth * 0.95));
    // On a narrow screen a legend has a line for each of its entries.
    const entries = (traces) => traces.filter((trace) => trace.name && trace.showlegend !== false).length;
    const tall = (traces) => (innerWidth < 640 ? narrow + 22 * Math.max(0, entries(traces) - 2) : height);
    element.redraw = () => {
      const { data: traces, layout } = make();
      return Plotly.react(element, coloured(traces), layoutOf(layout, tall(traces)), { ...CONFIG, ...config });
    };
    await element.redraw();
    element.dataset.drawn = "yes";
    listeners.push(() => element.dataset.paper === "smaller" || element.redraw());
    return element;
  }

  const waiting = new Map();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) arrive(entry.target);
  }, { rootMargin: "300px" });

  function arrive(element) {
    const start = waiting.get(element);
    if (!start) return null;
    waiting.delete(element);
    watcher.unobserve(element);
    return start();
  }

  // Calls `start` once the element is about to be seen, or the page to be printed.
  function whenSeen(element, start) {
    waiting.set(element, start);
    watcher.observe(element);
  }

  async function startFigures() {
    const elements = [...document.querySelectorAll("[data-figure]")];
    if (!elements.length) return;
    const figures = await data("figures");
    for (const element of elements) {
      const spec = figures?.[element.dataset.figure];
      if (spec) whenSeen(element, () => draw(element, () => spec));
    }
  }

  // On paper all charts stand, as wide as a sheet and in the colours of the light theme, and
  // nothing is folded. What WebGL draws is drawn a frame later, when the sheet is done: it stays
  // as it is on the screen, on the screen's colour, and is only made smaller.
  const PAPER = 680; // pixels: A4 and US letter, within their margins

  function toPaper(plot) {
    const width = plot.offsetWidth;
    if (plot.querySelector("canvas")) {
      plot.dataset.paper = "smaller";
      Object.assign(plot.style, { width: `${width}px`, zoom: Math.min(1, PAPER / width), background: colour("--page") });
    } else {
      plot.style.width = `${PAPER}px`;
    }
  }

  function fromPaper(plot) {
    delete plot.dataset.paper;
    Object.assign(plot.style, { width: "", zoom: "", background: "" });
  }

  let before = null;
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((each) => { each.open = true; });
    document.querySelectorAll(".plot").forEach(toPaper);
    [...waiting.keys()].forEach(arrive);
    before = root.getAttribute("data-theme");
    root.setAttribute("data-theme", "light");
    listeners.forEach((listener) => listener());
  });
  addEventListener("afterprint", () => {
    folded.forEach((each) => { each.open = false; });
    document.querySelectorAll(".plot").forEach(fromPaper);
    if (before === null) root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", before);
    listeners.forEach((listener) => listener());
  });

  startTheme();
  startFigures();
  Object.assign(edgeplan, { data, plotly, colour, coloured, draw, whenSeen, onTheme: (f) => listeners.push(f) });
})();

// The pictures of a front: cloud, parallel coordinates, scatter matrix; linked by the points.
(() => {
  // Viridis: even steps to the eye, for colour-blind people too; without the end that the page's
  // own colour would swallow.
  const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

  function colourScale() {
    const steps = edgeplan.colour("--theme") === "dark" ? VIRIDIS.slice(2) : VIRIDIS.slice(0, 9);
    return steps.map((colour, i) => [i / (steps.length - 1), colour]);
  }

  const SYMBOLS = ["circle", "square", "diamond", "cross", "circle-open", "square-open", "diamond-open", "x"];
  const MANY = 1500; // more points than this are drawn by the graphics processor

  function hasWebgl() {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  }

  function take(column, indexes, factor) {
    return indexes.map((i) => column[i] / factor);
  }

  // Numbers of the points of a set that the ranges keep, or do not.
  function split(points, set) {
    const kept = [], other = [];
    for (let i = set.begin; i < set.end; i++) (points.kept[i] ? kept : other).push(i);
    return { kept, other };
  }

  function hover(points, indexes) {
    return indexes.map((i) => {
      const values = points.objectives.map((o, k) => `${o.name} ${points.show(k, o.column[i])}`);
      const marks = (points.marks.get(i) || []).map((mark) => mark.words);
      return [escaped(points.titleOf(i)), ...marks, ...values].join("<br>");
    });
  }

  // Plotly reads a few tags in labels: names are text.
  function escaped(text) {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  // Traces by what they are: sets within and outside the ranges, knees, baselines, the chosen one.
  // `type` is plotly's; `axes` are the numbers of the objectives on x, y and z.
  function traces(points, type, axes, colourBy) {
    const three = type === "scatter3d";
    const small = points.count > 1000 ? 3 : 5;
    const at = (indexes) => {
      const [x, y, z] = axes.map((k) => take(points.objectives[k].column, indexes, points.objectives[k].factor));
      return {
        x, y, ...(three ? { z } : {}), customdata: indexes, type, mode: "markers",
        text: hover(points, indexes), hovertemplate: "%{text}<extra></extra>",
      };
    };
    const found = [];
    for (const set of points.sets) {
      const { kept, other } = split(points, set);
      if (other.length) {
        found.push({
          ...at(other), name: "outside the ranges", showlegend: false, hoverinfo: "skip", hovertemplate: undefined,
          marker: { size: small * 0.8, color: "--muted-dot", opacity: 0.5 },
        });
      }
      const baselines = set.kind === "baselines";
      const byValue = colourBy !== null && !points.several && !baselines;
      found.push({
        ...at(kept), name: escaped(points.several && !baselines ? `${set.name}: ${set.title}` : baselines ? "baselines" : "points"),
        marker: {
          size: baselines ? small + 3 : small,
          symbol: baselines ? (three ? "cross" : "x") : SYMBOLS[points.several ? set.number % 8 : 0],
          color: byValue ? take(colourBy.column, kept, colourBy.factor) : baselines ? "--ink" : `--series-${set.number % 8}`,
          ...(byValue ? {
            colorscale: colourScale(), cmin: colourBy.least / colourBy.factor, cmax: colourBy.most / colourBy.factor,
            colorbar: { title: { text: colourBy.label, side: "right" }, thickness: 12, len: 0.8, outlinewidth: 0 },
            showscale: innerWidth > 640,
          } : {}),
        },
      });
    }
    const knees = [...points.marks].filter(([i, marks]) => marks.some((m) => m.kind === "knee")).map(([i]) => i);
    if (knees.length) {
      found.push({
        ...at(knees), name: "knees",
        marker: { size: small + 6, symbol: three ? "diamond-open" : "diamond-open", color: "--bad", line: { width: 2, color: "--bad" } },
      });
    }
    const chosen = points.chosen === null ? [] : [points.chosen];
    found.push({
      ...at(chosen), name: "chosen", showlegend: chosen.length > 0,
      marker: { size: small + 9, symbol: "circle-open", color: "--select", line: { width: 3, color: "--select" } },
    });
    return found;
  }

  // -- cloud --------------------------------------------------------------------------------

  // From farther away where the picture is narrow, so that the axes' names stay within.
  function camera() {
    const away = innerWidth < 640 ? 1.35 : 1;
    return { eye: { x: 1.55 * away, y: 1.55 * away, z: 0.9 * away }, center: { x: 0, y: 0, z: -0.12 } };
  }

  function cloud(points, webgl) {
    const [a, b, c] = points.objectives;
    const three = Boolean(c) && webgl;
    const type = three ? "scatter3d" : points.count > MANY && webgl ? "scattergl" : "scatter";
    const axis = (o) => ({ title: { text: o.label }, gridcolor: "--line", zerolinecolor: "--line", color: "--ink", backgroundcolor: "rgba(0,0,0,0)" });
    return {
      words: `${three ? "3-D scatter" : "Scatter"} of ${points.count} points by ${points.objectives.slice(0, three ? 3 : 2).map((o) => o.name).join(", ")}. The table below has the same points.`,
      note: `Each dot is a plan (predicted). ${c ? (points.several ? "Colour and mark: the set. " : `Colour: ${c.name}, as in the bar. `) : ""}Less is better on every axis.`,
      make: () => ({
        data: traces(points, type, three ? [0, 1, 2] : [0, 1], c || null),
        layout: three ? {
          margin: { l: 0, r: 0, t: 0, b: 0 },
          scene: { xaxis: axis(a), yaxis: axis(b), zaxis: axis(c), aspectmode: "cube", camera: camera() },
          legend: { orientation: "h", x: 0, y: 0, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" }, uirevision: "cloud",
        } : {
          xaxis: { title: { text: a.label } }, yaxis: { title: { text: b.label } }, hovermode: "closest", uirevision: "cloud",
          legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
        },
      }),
    };
  }

  // -- scatter matrix -----------------------------------------------------------------------

  // A picture for each pair of objectives: row above column, in one figure.
  function matrix(points, webgl) {
    const width = points.objectives.length;
    const type = points.count > MANY && webgl ? "scattergl" : "scatter";
    const colourBy = points.objectives[2] || null;
    const pairs = [];
    for (let row = 1; row < width; row++) for (let column = 0; column < row; column++) pairs.push([column, row]);
    // Where each pair's picture lies: below each other on a narrow screen.
    function domains(number, [column, row]) {
      const [across, along, right, down] = innerWidth < 640 ? [1, pairs.length, 0, number] : [width - 1, width - 1, column, row - 1];
      const [gapX, gapY] = [0.12 / across, 0.28 / along];
      const [sizeX, sizeY] = [(1 - gapX * (across - 1)) / across, (1 - gapY * (along - 1)) / along];
      return { x: [right * (sizeX + gapX), right * (sizeX + gapX) + sizeX], y: [1 - down * (sizeY + gapY) - sizeY, 1 - down * (sizeY + gapY)] };
    }
    return {
      note: colourBy
        ? (points.several ? "Colour and mark: the set." : `Colour: ${colourBy.name}, as in the bar.`)
        : "",
      make: () => {
        const data = [];
        const layout = { hovermode: "closest", uirevision: "matrix", legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, margin: { l: 64, r: 16, t: 24, b: 52 } };
        pairs.forEach((pair, number) => {
          const id = number ? number + 1 : "";
          const [x, y] = pair.map((k) => points.objectives[k]);
          const domain = domains(number, pair);
          // In a grid a column shares its x and a row its y: said once, at the edge.
          const alone = innerWidth < 640 || width < 4;
          layout[`xaxis${id}`] = { domain: domain.x, anchor: `y${id}`, title: { text: alone || pair[1] === width - 1 ? x.label : "" }, nticks: 6 };
          layout[`yaxis${id}`] = { domain: domain.y, anchor: `x${id}`, title: { text: alone || pair[0] === 0 ? y.label : "" }, nticks: 6 };
          for (const trace of traces(points, type, pair, colourBy)) {
            if (number && trace.marker.colorscale) trace.marker = { ...trace.marker, showscale: false };
            data.push({ ...trace, xaxis: `x${id}`, yaxis: `y${id}`, legendgroup: trace.name, showlegend: !number && trace.showlegend !== false });
          }
        });
        return { data, layout };
      },
    };
  }

  // -- parallel coordinates -----------------------------------------------------------------

  function lines(points) {
    const fronts = points.sets.filter((set) => set.kind !== "baselines");
    const last = fronts[fronts.length - 1].end;
    const by = points.objectives[2] || points.objectives[0];
    return {
      last,
      order: points.objectives.map((_, k) => k), // of the axes, from the left: they can be dragged
      make() {
        const colours = points.several
          ? points.setOf.slice(0, last).map((set) => set.number)
          : by.column.slice(0, last).map((value) => value / by.factor);
        // The chosen line has a colour beyond all others: the last tenth of the scale.
        const [low, high] = points.several ? [0, Math.max(1, fronts.length - 1)] : [by.least / by.factor, by.most / by.factor];
        const span = high > low ? high - low : 1;
        const scale = points.several ? fronts.map((set) => [set.number / span, `--series-${set.number % 8}`]) : colourScale();
        const top = low + span / 0.9;
        if (points.chosen !== null && points.chosen < last) colours[points.chosen] = top;
        const colorscale = [...scale.map(([at, colour]) => [at * 0.9, colour]), ...(scale[scale.length - 1][0] < 1 ? [[0.9, scale[scale.length - 1][1]]] : []), [0.95, "--select"], [1, "--select"]];
        return {
          data: [{
            type: "parcoords",
            line: { color: colours, colorscale, cmin: low, cmax: top },
            unselected: { line: { color: "--muted-dot", opacity: 0.25 } },
            labelfont: { color: "--ink", size: 14 }, tickfont: { color: "--ink", size: 12 }, rangefont: { color: "rgba(0,0,0,0)", size: 1 },
            dimensions: this.order.map((k) => [points.objectives[k], k]).map(([o, k]) => ({
              label: o.label, values: o.column.slice(0, last).map((value) => value / o.factor), multiselect: false,
              range: [o.least / o.factor, o.most === o.least ? o.least / o.factor + 1 : o.most / o.factor],
              ...(points.ranges[k] ? { constraintrange: points.ranges[k].map((value) => value / o.factor) } : {}),
            })),
          }],
          layout: { margin: { l: 72, r: 72, t: 48, b: 20 } },
        };
      },
    };
  }

  // What the axes of the lines are brushed to, by objective, in SI units.
  function brushed(points, element) {
    return points.objectives.map((o) => {
      const range = element.data[0].dimensions.find((each) => each.label === o.label).constraintrange;
      return range ? range.map((value) => value * o.factor) : null;
    });
  }

  // The chosen line, dashed, with rings and values where it meets the axes: told without colour.
  function ringChosen(points, element, last) {
    const holder = element.querySelector(".svg-container");
    holder.querySelector(".rings")?.remove();
    if (points.chosen === null || points.chosen >= last) return;
    const made = (tag, attributes, text = "") => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
      node.textContent = text;
      return node;
    };
    const frame = holder.getBoundingClientRect();
    const rings = made("svg", { class: "rings", "aria-hidden": "true", width: frame.width, height: frame.height });
    const met = [];
    for (const axis of holder.querySelectorAll(".y-axis")) {
      const k = points.objectives.findIndex((o) => o.label === axis.querySelector(".axis-title")?.textContent);
      const line = axis.querySelector(".axis .domain")?.getBoundingClientRect();
      if (k < 0 || !line) continue;
      const o = points.objectives[k];
      const value = o.column[points.chosen];
      const height = o.most > o.least ? (value - o.least) / (o.most - o.least) : 0;
      const x = line.right - frame.left, y = line.bottom - frame.top - height * line.height;
      const right = x > frame.width / 2; // words go inwards, in turn above and below the line
      met.push([x, y]);
      rings.append(
        made("circle", { cx: x, cy: y, r: 6 }),
        made("text", { x: x + (right ? -11 : 11), y: y + (met.length % 2 ? -5 : 15), "text-anchor": right ? "end" : "start" }, points.show(k, value)),
      );
    }
    const path = met.sort((a, b) => a[0] - b[0]).map((place) => place.join()).join(" ");
    rings.prepend(made("polyline", { class: "halo", points: path }), made("polyline", { points: path }));
    holder.append(rings);
  }

  // -- all of them --------------------------------------------------------------------------

  function failed(element, why) {
    element.textContent = why;
    element.className = "note";
    element.removeAttribute("role");
  }

  function startCharts(points) {
    const webgl = hasWebgl();
    const find = (id) => document.getElementById(id);
    const drawn = [];

    const clickable = (element, spec) => edgeplan.whenSeen(element, async () => {
      try {
        await edgeplan.draw(element, spec.make);
      } catch (error) {
        failed(element, `The picture cannot be drawn here (${error.message}). The table has the same points.`);
        return;
      }
      drawn.push(element);
      element.on("plotly_click", (event) => {
        const index = event.points[0]?.customdata;
        if (index !== undefined) points.choose(index);
      });
    });

    const first = cloud(points, webgl);
    find("cloud").setAttribute("role", "group");
    find("cloud").setAttribute("aria-label", first.words);
    find("cloud-note").textContent = first.note;
    clickable(find("cloud"), first);

    if (points.objectives.length > 2) {
      const spec = matrix(points, webgl);
      find("matrix-note").textContent = spec.note;
      const pairs = (points.objectives.length * (points.objectives.length - 1)) / 2;
      find("matrix").dataset.height = String(120 + 240 * (points.objectives.length - 1));
      find("matrix").dataset.narrowHeight = String(120 + 250 * pairs);
      clickable(find("matrix"), spec);
    } else {
      find("matrix-title").remove();
      find("matrix").closest("figure").remove();
    }

    const element = find("lines");
    if (webgl) {
      const spec = lines(points);
      edgeplan.whenSeen(element, async () => {
        await edgeplan.draw(element, () => spec.make());
        ringChosen(points, element, spec.last);
        element.on("plotly_afterplot", () => ringChosen(points, element, spec.last));
        element.on("plotly_restyle", () => {
          spec.order = element.data[0].dimensions.map((each) => points.objectives.findIndex((o) => o.label === each.label));
          points.setRanges(brushed(points, element));
          ringChosen(points, element, spec.last);
        });
      });
    } else {
      failed(element, "This browser has no WebGL, by which the lines are drawn; the ranges above do the same.");
    }

    let asked = 0;
    points.onChange((what) => {
      // Of many changes within a moment, the last is drawn.
      const mine = ++asked;
      requestAnimationFrame(() => {
        if (mine !== asked) return;
        drawn.forEach((each) => each.redraw());
        if (what === "ranges" && element.dataset.drawn) {
          const now = JSON.stringify(brushed(points, element));
          if (now !== JSON.stringify(points.ranges)) element.redraw();
        }
        if (what === "chosen" && element.dataset.drawn) element.redraw();
      });
    });
  }

  edgeplan.startCharts = startCharts;
})();

// The chosen plan on its topology, as drawing.py draws one plan: devices by tier from the top,
// stages in their boxes, transfers as arrows beside them. Here since a front has thousands.
(() => {
  const { si, bytes, percent } = edgeplan.units;
  const TIERS = ["device", "edge", "cloud"];
  const WIDTH = 440, BOX = 268, HEAD = 40, STAGE = 34, LINE = 17, GAP = 16, LANE = 30;
  const MOST_STAGES = 6, COLOURS = 8;

  function node(tag, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function short(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  // Devices with their stages, and what crosses each link, of all streams.
  function gather(points, index) {
    const { plans, begin } = points.setOf[index];
    const own = index - begin;
    const { problem, loads } = plans;
    const devices = plans.devices.map((name, d) => ({
      name, number: d, stages: [],
      tier: problem ? problem.devices[d].tier : "", zone: problem ? problem.devices[d].zone : "",
      busy: loads ? loads.devices[d]?.[own] || 0 : null, copies: loads?.replicas[d]?.[own] ?? 1,
    }));
    const crossing = new Map();
    const cross = (from, to, stream, size, weight) => {
      const key = `${from}>${to}`;
      const found = crossing.get(key) || { from, to, streams: new Set(), bytes: 0, weight: 0 };
      found.streams.add(stream);
      found.bytes += size === null ? NaN : size * weight;
      found.weight += weight;
      crossing.set(key, found);
    };
    points.routesOf(index).forEach(({ name, ways }, s) => {
      const rate = problem ? problem.streams[s].rate : 1;
      const layers = problem ? problem.networks[problem.streams[s].network].layers.length : plans.layers[s];
      for (const way of ways) {
        let before = null;
        for (const [device, first, stop, seconds, moves] of way.stages) {
          devices[device].stages.push({ stream: s, name, share: way.share, first, stop, layers, seconds });
          if (moves) moves.forEach(([from, to, size]) => cross(from, to, s, size, rate * way.share));
          else if (before !== null) cross(before, device, s, null, 1);
          before = device;
        }
        (way.back || []).forEach(([from, to, size]) => cross(from, to, s, size, rate * way.share));
      }
    });
    const used = new Set([...crossing.values()].flatMap(({ from, to }) => [from, to]));
    const rank = (device) => (TIERS.includes(device.tier) ? TIERS.indexOf(device.tier) : 1.5);
    const shown = devices.filter((device) => device.stages.length || used.has(device.number));
    shown.sort((a, b) => rank(a) - rank(b) || a.number - b.number);
    return { devices: shown, idle: devices.length - shown.length, transfers: [...crossing.values()] };
  }

  function drawBox(device, y, height) {
    const on = device.stages.length > 0;
    const group = node("g", { class: on ? "machine" : "machine off" });
    group.append(
      node("rect", { class: "box", x: 1, y, width: BOX - 2, height, rx: 8 }),
      node("text", { class: "name", x: 10, y: y + 17 }, short(device.name, 30) + (device.copies > 1 ? ` × ${device.copies}` : "")),
    );
    const about = [device.tier, device.zone && device.zone !== "default" ? `zone ${device.zone}` : "", device.busy === null ? "" : `${percent(device.busy)} busy`];
    group.append(node("text", { class: "about", x: 10, y: y + 32 }, short(about.filter(Boolean).join(", "), 42)));
    device.stages.slice(0, MOST_STAGES).forEach((stage, place) => {
      const top = y + HEAD + place * STAGE;
      const share = stage.share < 0.9999 ? ` (${percent(stage.share)})` : "";
      group.append(node("g", { class: `stage stream-${stage.stream % COLOURS}` },
        node("rect", { class: "plate", x: 8, y: top, width: BOX - 16, height: STAGE - 4, rx: 5 }),
        node("rect", { class: "chip", x: 8, y: top, width: 5, height: STAGE - 4, rx: 2 }),
        node("text", { x: 20, y: top + 13 }, short(stage.name, 24) + share),
        node("text", { class: "time", x: BOX - 15, y: top + 13 }, stage.seconds === undefined ? "" : si(stage.seconds, "s", 3)),
        node("text", { class: "layers", x: 20, y: top + 26 }, `${stage.stop - stage.first > 1 ? `layers ${stage.first}–${stage.stop - 1}` : `layer ${stage.first}`} of ${stage.layers}`)));
    });
    const more = device.stages.length - MOST_STAGES;
    if (more > 0) group.append(node("text", { class: "about", x: 10, y: y + height - 7 }, `and ${more} more`));
    return group;
  }

  function heightOf(device) {
    const stages = device.stages.length;
    return HEAD + Math.min(stages, MOST_STAGES) * STAGE + (stages > MOST_STAGES ? LINE : 0) + (stages ? 4 : 0);
  }

  // An arrow from the right side of a box, along its lane, to the right side of another.
  function drawArrow(transfer, from, to, lane) {
    const x = BOX + 14 + lane * LANE;
    const colour = transfer.streams.size === 1 ? ` stream-${[...transfer.streams][0] % COLOURS}` : "";
    const group = node("g", { class: `transfer${colour}` });
    group.append(
      node("path", { class: "wire", d: `M${BOX},${from} H${x - 6} Q${x},${from} ${x},${from + Math.sign(to - from) * 6} V${to - Math.sign(to - from) * 6} Q${x},${to} ${x - 6},${to} H${BOX + 8}` }),
      node("polygon", { class: "tip", points: `${BOX},${to} ${BOX + 9},${to - 4.5} ${BOX + 9},${to + 4.5}` }),
    );
    return group;
  }

  // Each in the first lane that nothing overlaps.
  function lanes(arrows) {
    const taken = [];
    for (const arrow of [...arrows].sort((a, b) => Math.abs(a.from - a.to) - Math.abs(b.from - b.to))) {
      const [low, high] = [Math.min(arrow.from, arrow.to) - 4, Math.max(arrow.from, arrow.to) + 4];
      let lane = 0;
      while (taken.some((other) => other.lane === lane && other.low < high && low < other.high)) lane += 1;
      taken.push({ lane, low, high });
      arrow.lane = lane;
    }
  }

  function drawPlan(points, index) {
    const { devices, idle, transfers } = gather(points, index);
    const top = new Map();
    let y = 4;
    for (const device of devices) {
      top.set(device.number, y);
      y += heightOf(device) + GAP;
    }
    const boxes = new Map(devices.map((device) => [device.number, device]));
    // Arrows leave and reach a box at places of their own, spread over its side.
    const ends = new Map();
    const port = (device) => {
      const count = transfers.filter((t) => t.from === device || t.to === device).length;
      const number = ends.get(device) || 0;
      ends.set(device, number + 1);
      return top.get(device) + (heightOf(boxes.get(device)) * (number + 1)) / (count + 1);
    };
    const arrows = transfers.map((transfer) => ({ transfer, from: port(transfer.from), to: port(transfer.to) }));
    lanes(arrows);
    const widest = Math.max(0, ...arrows.map((arrow) => arrow.lane));
    const width = Math.max(WIDTH, BOX + 14 + widest * LANE + 84);
    const words = devices.flatMap((device) => device.stages.map((stage) => `${stage.name}: layers ${stage.first} to ${stage.stop - 1} on ${device.name}`));
    const picture = node("svg", { class: "drawing drawing-front", role: "img", viewBox: `0 0 ${width} ${y}`, "aria-label": `${words.slice(0, 40).join("; ")}.` });
    devices.forEach((device) => picture.append(drawBox(device, top.get(device.number), heightOf(device))));
    arrows.forEach(({ transfer, from, to, lane }) => picture.append(drawArrow(transfer, from, to, lane)));
    // Labels last, so that no wire crosses them.
    arrows.forEach(({ transfer, from, to, lane }) => {
      if (!Number.isFinite(transfer.bytes)) return;
      picture.append(node("text", { class: "label", x: BOX + 14 + lane * LANE + 6, y: (from + to) / 2 + 4, style: "text-anchor: start" }, bytes(transfer.bytes / transfer.weight)));
    });
    const figure = edgeplan.element("figure", { className: "chart" });
    figure.append(picture);
    if (idle) figure.append(edgeplan.element("figcaption", { textContent: `${idle} ${idle === 1 ? "device runs" : "devices run"} nothing and ${idle === 1 ? "is" : "are"} not drawn.` }));
    return figure;
  }

  edgeplan.drawPlan = drawPlan;
})();

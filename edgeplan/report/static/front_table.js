// The table of points: sorted, in pages, by keyboard as the ARIA grid pattern has it.
(() => {
  const ROWS = 25;

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function startTable(points) {
    const table = document.getElementById("table");
    const pager = document.getElementById("pager");
    const status = document.getElementById("table-status");
    let sort = { column: 0, down: false };
    let page = 0;
    let order = [];
    let focused = null; // index of the point whose row the tab key reaches

    const head = element("thead");
    const body = element("tbody");
    table.append(head, body);

    const columns = [
      { title: "point", value: (i) => i, text: (i) => points.nameOf(i), more: (i) => (points.marks.get(i) || []).map((mark) => mark.words).join(", ") },
      ...points.objectives.map((o, k) => ({
        title: o.label, number: true, value: (i) => o.column[i],
        text: (i) => edgeplan.units.fixed(o.column[i] / o.factor, 5),
      })),
      { title: "plan", value: null, text: (i) => points.planWords(i) },
    ];
    sort.column = 1;

    function makeHead() {
      const row = element("tr");
      row.setAttribute("aria-rowindex", "1");
      columns.forEach((column, number) => {
        const cell = element("th", { scope: "col", className: column.number ? "number" : "" });
        if (column.value) {
          const button = element("button", { type: "button", textContent: column.title });
          button.addEventListener("click", () => {
            sort = { column: number, down: sort.column === number && !sort.down };
            page = 0;
            update();
          });
          cell.append(button);
        } else {
          cell.textContent = column.title;
        }
        row.append(cell);
      });
      head.replaceChildren(row);
    }

    function update() {
      order = [];
      for (let i = 0; i < points.count; i++) if (points.kept[i]) order.push(i);
      const { value } = columns[sort.column];
      order.sort((a, b) => (value(a) - value(b)) * (sort.down ? -1 : 1) || a - b);
      [...head.rows[0].cells].forEach((cell, number) => {
        if (number === sort.column) cell.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      });
      table.setAttribute("aria-rowcount", String(order.length + 1));
      table.setAttribute("aria-colcount", String(columns.length));
      draw();
    }

    function pages() {
      return Math.max(1, Math.ceil(order.length / ROWS));
    }

    function draw() {
      page = Math.min(page, pages() - 1);
      const shown = order.slice(page * ROWS, (page + 1) * ROWS);
      if (!shown.includes(focused)) focused = shown.includes(points.chosen) ? points.chosen : shown[0];
      body.replaceChildren(...shown.map((index, place) => {
        const row = element("tr", { tabIndex: index === focused ? 0 : -1 });
        row.dataset.point = String(index);
        row.setAttribute("aria-rowindex", String(page * ROWS + place + 2));
        row.setAttribute("aria-selected", String(index === points.chosen));
        for (const column of columns) {
          const cell = element("td", { className: column.number ? "number" : `is-${column.title}`, textContent: column.text(index) });
          if (column.more?.(index)) cell.append(element("small", { textContent: column.more(index) }));
          row.append(cell);
        }
        return row;
      }));
      const all = order.length === points.count;
      status.textContent = all
        ? `${edgeplan.units.count(points.count)} points (values predicted). Arrow keys move, Enter opens the plan.`
        : `${edgeplan.units.count(order.length)} of ${edgeplan.units.count(points.count)} points are within the ranges.`;
      drawPager();
    }

    function drawPager() {
      if (pages() === 1) {
        pager.replaceChildren();
        return;
      }
      const button = (words, to, possible) => {
        const made = element("button", { type: "button", textContent: words, disabled: !possible });
        made.addEventListener("click", () => {
          page = to;
          draw();
        });
        return made;
      };
      pager.replaceChildren(
        button("First", 0, page > 0), button("Back", page - 1, page > 0),
        element("span", { textContent: `page ${page + 1} of ${pages()}` }),
        button("Next", page + 1, page < pages() - 1), button("Last", pages() - 1, page < pages() - 1),
      );
    }

    function focus(place) {
      if (!order.length) return;
      const bounded = Math.max(0, Math.min(order.length - 1, place));
      focused = order[bounded];
      const wanted = Math.floor(bounded / ROWS);
      if (wanted !== page) {
        page = wanted;
        draw();
      }
      for (const row of body.rows) {
        const mine = row.dataset.point === String(focused);
        row.tabIndex = mine ? 0 : -1;
        if (mine) row.focus();
      }
    }

    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (!row) return;
      focused = Number(row.dataset.point);
      points.choose(focused);
    });

    body.addEventListener("keydown", (event) => {
      const row = event.target.closest("tr");
      if (!row) return;
      const place = order.indexOf(Number(row.dataset.point));
      const moves = {
        ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + ROWS, PageUp: place - ROWS,
        Home: 0, End: order.length - 1,
      };
      if (event.key in moves) focus(moves[event.key]);
      else if (event.key === "Enter" || event.key === " ") points.choose(order[place]);
      else return;
      event.preventDefault();
    });

    points.onChange((what) => {
      if (what === "ranges") {
        page = 0;
        update();
        return;
      }
      const place = order.indexOf(points.chosen);
      if (place >= 0) page = Math.floor(place / ROWS);
      const held = body.contains(document.activeElement);
      focused = place >= 0 ? points.chosen : focused;
      draw();
      if (held) focus(place);
    });

    makeHead();
    update();
  }

  edgeplan.element = element;
  edgeplan.startTable = startTable;
})();

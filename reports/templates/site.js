// Tables sort and filter, lists filter. Without this script every page is whole: nothing is hidden that only it shows.
(() => {
  "use strict";
  const make = (tag, attributes, text) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  };

  // "−1,234.5" is a number, "< 0.001" too; a dash is nothing and stands last.
  const amount = (text) => {
    const found = text.replace(/−/g, "-").replace(/,/g, "").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return found ? parseFloat(found[0]) : null;
  };
  const compare = (a, b, numeric) => {
    if (!numeric) return a.localeCompare(b, "en", { numeric: true });
    const [x, y] = [amount(a), amount(b)];
    return x === null || y === null ? (x === null) - (y === null) : x - y;
  };

  const sort = (table, index, header) => {
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numeric = header.classList.contains("num");
    const text = (row) => (row.cells[index] ? row.cells[index].innerText.trim() : "");
    const empty = (row) => row.cells.length <= index || (numeric && amount(text(row)) === null);
    for (const body of table.tBodies) {
      const rows = [...body.rows];
      const heads = rows.filter((row) => row.classList.contains("group"));
      const rest = rows.filter((row) => !row.classList.contains("group"));
      rest.sort((a, b) => empty(a) - empty(b) || (down ? -1 : 1) * compare(text(a), text(b), numeric));
      body.append(...heads, ...rest);
    }
  };

  const sortable = (table) => {
    [...table.tHead.rows[0].cells].forEach((header, index) => {
      const button = make("button", { type: "button", class: "sort" });
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, index, header));
    });
  };

  const filterable = (table) => {
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.classList.contains("group"));
    if (rows.length < 8) return;
    const label = make("label", { class: "row-filter" }, "Filter rows ");
    const input = make("input", { type: "search", autocomplete: "off" });
    const told = make("span", { class: "quiet", role: "status" });
    label.append(input);
    const line = make("p", { class: "filter-line" });
    line.append(label, told);
    const holder = table.closest(".scroll") || table;
    holder.before(line);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of rows) {
        row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
        left += row.hidden ? 0 : 1;
      }
      told.textContent = words.length ? `${left} of ${rows.length} rows` : "";
    });
  };

  const filters = (form) => {
    const items = [...document.getElementById(form.dataset.for).children];
    const told = form.querySelector("[role=status]");
    const apply = () => {
      const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = [...form.querySelectorAll("select")].filter((select) => select.value);
      let left = 0;
      for (const item of items) {
        const text = (item.dataset.text || item.textContent).toLowerCase();
        const kept = words.every((word) => text.includes(word))
          && chosen.every((select) => (item.dataset[select.name] || "").split(" ").includes(select.value));
        item.hidden = !kept;
        left += kept ? 1 : 0;
      }
      told.textContent = left === items.length ? `${left} ${form.dataset.noun}` : `${left} of ${items.length} ${form.dataset.noun}`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    apply();
  };

  for (const table of document.querySelectorAll("main table")) {
    if (!table.tHead) continue;
    sortable(table);
    filterable(table);
  }
  for (const form of document.querySelectorAll("form[data-for]")) filters(form);
})();

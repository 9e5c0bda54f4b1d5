(() => {
  "use strict";
  const posts = document.getElementById("posts");
  let hovered = null; // the mark under the pointer
  let dismissed = null; // the mark that Escape has sent away

  const markOf = (target) => (target instanceof Element ? target.closest(".points") : null);

  // Of several marks that ask for their map, the one under the pointer goes before the focused and the pinned one.
  function chosen(post) {
    const focused = markOf(document.activeElement);
    const inside = [hovered, focused].find((mark) => mark && mark !== dismissed && post.contains(mark));
    return inside || post.querySelector('.points[aria-pressed="true"]');
  }

  function refresh(post) {
    const frame = post.querySelector(".frame");
    if (!frame) return;
    const mark = chosen(post);
    const [heat, ring] = [frame.querySelector(".heat"), frame.querySelector(".ring")];
    const told = post.querySelector(".told");
    for (const part of [heat, ring, post.querySelector(".key")]) part.hidden = !mark;
    post.querySelector(".caption").hidden = !!mark;
    told.textContent = mark ? mark.dataset.told : "";
    if (mark) {
      heat.src = mark.dataset.heat;
      ring.style.left = `${mark.dataset.x}%`;
      ring.style.top = `${mark.dataset.y}%`;
    }
  }

  function changed(mark) {
    if (mark) refresh(mark.closest(".post"));
  }

  function pin(mark) {
    const pressed = mark.getAttribute("aria-pressed") === "true";
    for (const other of mark.closest(".post").querySelectorAll(".points")) other.setAttribute("aria-pressed", "false");
    mark.setAttribute("aria-pressed", String(!pressed));
    changed(mark);
  }

  posts.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return; // a touch pins
    const before = hovered;
    hovered = markOf(event.target);
    if (hovered !== before) dismissed = null;
    changed(before);
    changed(hovered);
  });
  posts.addEventListener("pointerleave", () => {
    const before = hovered;
    hovered = null;
    changed(before);
  });
  posts.addEventListener("focusin", (event) => {
    dismissed = null;
    changed(markOf(event.target));
  });
  posts.addEventListener("focusout", (event) => {
    const mark = markOf(event.target);
    if (mark) setTimeout(() => changed(mark)); // the focus has moved by then
  });
  posts.addEventListener("click", (event) => {
    const mark = markOf(event.target);
    if (mark) pin(mark);
  });
  document.addEventListener("keydown", (event) => {
    const mark = markOf(event.target);
    if (event.key === "Escape") {
      dismissed = hovered || mark;
      const open = [...posts.querySelectorAll('.points[aria-pressed="true"]')];
      for (const one of open) one.setAttribute("aria-pressed", "false");
      for (const one of [hovered, mark, ...open]) changed(one);
    } else if (mark && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      pin(mark);
    }
  });

  const tools = document.getElementById("tools");
  if (!tools) return;
  const [order, only, status] = ["order", "only", "status"].map((id) => document.getElementById(id));
  const all = [...posts.children];

  function arrange() {
    const byErrors = order.value === "errors";
    const errors = (post) => Number(post.dataset.errors || 0);
    // The sort is stable: posts with equally many errors stay in the order of the corpus.
    const sorted = byErrors ? [...all].sort((one, other) => errors(other) - errors(one)) : all;
    posts.append(...sorted);
    for (const post of all) post.hidden = only.checked && !errors(post);
    const shown = all.filter((post) => !post.hidden).length;
    status.textContent = `${shown} of ${all.length} posts, ${byErrors ? "most errors first" : "in the corpus's order"}`;
  }

  order.addEventListener("change", arrange);
  only.addEventListener("change", arrange);
  tools.hidden = false;
  arrange();
})();

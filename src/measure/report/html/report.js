// Everything is drawn without this. It keeps one choice of link and delivery for the whole report,
// and says at once what is pointed at.
(() => {
  const every = (selector, root = document) => root.querySelectorAll(selector);

  document.addEventListener("change", ({ target }) => {
    const tabs = target.closest(".tabs");
    if (!tabs) return;
    const before = target.getBoundingClientRect().top;
    for (const other of every(`.tabs[data-kind="${tabs.dataset.kind}"] > input`)) {
      if (other.value === target.value) other.checked = true;
    }
    // What changed above must not move what was chosen.
    scrollBy(0, target.getBoundingClientRect().top - before);
  });

  const tip = document.getElementById("tip");
  for (const title of every(".hit > title")) {
    title.parentNode.said = title.textContent;
    title.remove();
  }
  const hide = () => {
    tip.hidden = true;
  };
  document.addEventListener("pointermove", ({ target, clientX, clientY }) => {
    const said = target.closest?.(".hit")?.said;
    if (!said) return hide();
    tip.textContent = said;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.min(clientX + 14, innerWidth - width - 8);
    const top = clientY + 18 + height > innerHeight ? clientY - height - 10 : clientY + 18;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  });
  document.addEventListener("pointerleave", hide);
  addEventListener("scroll", hide, { passive: true });
})();

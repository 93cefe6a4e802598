// Level 4: the colours of the page's own style sheet, read when drawing, so that dark stays dark.

export function palette() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    ink: colour("--panel-ink"),
    soft: colour("--panel-soft"),
    hair: colour("--panel-hair"),
    express: colour("--ahead"),
    local: colour("--asked"),
    freight: colour("--panel-soft"),
  };
}

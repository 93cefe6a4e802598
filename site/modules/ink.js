// Level 3: draws a day as a train graph: places down the page, hours across it, each train a line.
import { palette } from "./palette.js";

const WHOLE_DAY = { first: 4, last: 25, step: 2 };
const MORNING = { first: 5, last: 13, step: 1 };

export function drawDay(context, day, { width, height, share }) {
  const colours = palette();
  const narrow = width < 520;
  const hours = narrow ? MORNING : WHOLE_DAY; // A whole day would be a thicket.
  const box = { left: narrow ? 74 : 96, top: 26, right: width - 12, bottom: height - 14 };
  const x = (hour) =>
    box.left + ((hour - hours.first) / (hours.last - hours.first)) * (box.right - box.left);
  const y = (place) => box.top + place * (box.bottom - box.top);

  context.clearRect(0, 0, width, height);
  context.font = `${narrow ? 11 : 13}px Barlow, Arial, sans-serif`;
  drawGrid(context, day, { box, x, y, colours, hours });

  context.save();
  context.beginPath();
  context.rect(box.left, 0, (box.right - box.left) * share, height);
  context.clip();
  for (const train of day.trains) drawTrain(context, train, { x, y, colours });
  context.restore();
}

function drawGrid(context, day, { box, x, y, colours, hours }) {
  context.lineWidth = 1;
  context.strokeStyle = colours.hair;
  context.fillStyle = colours.soft;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (let hour = hours.first; hour <= hours.last; hour += 1) {
    line(context, [x(hour), box.top], [x(hour), box.bottom]);
    if ((hour - hours.first) % hours.step === 0) {
      context.fillText(`${hour % 24}`, x(hour), box.top - 10);
    }
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = colours.ink;
  context.strokeStyle = colours.ink;
  for (const station of day.stations) {
    context.lineWidth = station.junction ? 1.75 : 0.75;
    line(context, [box.left, y(station.place)], [box.right, y(station.place)]);
    context.fillText(station.name, box.left - 10, y(station.place));
  }
}

function drawTrain(context, train, { x, y, colours }) {
  context.strokeStyle = colours[train.kind];
  context.lineWidth = train.kind === "express" ? 2.25 : 1.25;
  context.setLineDash(train.kind === "freight" ? [5, 3] : []);
  context.beginPath();
  for (const { hour, place } of train.calls) context.lineTo(x(hour), y(place));
  context.stroke();
  context.setLineDash([]);
}

function line(context, from, to) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

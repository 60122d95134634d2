// A chart of values over time: stacked areas or one line, with a cursor for mouse and keyboard.

const GAP = { right: 8, top: 10, bottom: 22 };

/** Round times between two marks of the time axis, in seconds. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600];

/** The colour of a custom property of the page. */
function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A round number that is not below `value`. */
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999999);
}

/** A longer span than this has days at its times, in ms. */
const LONG = 6 * 3600 * 1000;

/** The day, as 2026-01-31. UTC, as everywhere in the program. */
const dayOf = (millis) => new Date(millis).toISOString().slice(0, 10);

const timeOfDay = (millis) => new Date(millis).toISOString().slice(11, 19);

/** Time of day, and the day as well if it is not that of another time: by default today. */
export function timeText(millis, other = Date.now()) {
  const day = dayOf(millis);
  return day === dayOf(other) ? timeOfDay(millis) : `${day} ${timeOfDay(millis)}`;
}

/**
 * The marks of a time axis: each has its time of day, in a long span with month and day. The first
 * one has the whole date if that is not today, or in a long span not this year, and so has each
 * that begins another day, or year.
 */
function timeMarks(times, isLong) {
  const part = (millis) => (isLong ? dayOf(millis).slice(0, 4) : dayOf(millis));
  let before = part(Date.now());
  return times.map((time) => {
    const isSame = part(time) === before;
    before = part(time);
    if (!isLong) return isSame ? timeOfDay(time) : `${before} ${timeOfDay(time)}`;
    const day = dayOf(time);
    return `${isSame ? day.slice(5) : day} ${timeOfDay(time).slice(0, 5)}`;
  });
}

export class Chart {
  /**
   * @param place an element with a size
   * @param options `format`: a value as text; `mark`: the same, short; `stacked`; `label`: what it
   *   shows, for those who cannot see it
   */
  constructor(place, options) {
    this.options = options;
    this.data = null;
    this.cursor = null;
    this.left = 0;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    place.append(this.canvas);
    place.after(this.legend);
    this.canvas.addEventListener("pointermove", (event) => this.pointTo(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.setCursor(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => this.setCursor(null));
    new ResizeObserver(() => this.draw()).observe(place);
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.draw());
  }

  /**
   * @param data `start` and `step` in ms, `series`: a list of `name`, `color`, `values`; `line`:
   *   one more that is drawn over them, or nothing; `spike`: the number of a point that is marked
   */
  show(data) {
    this.data = data;
    this.draw();
  }

  length() {
    return this.data ? Math.max(0, ...this.data.series.map((one) => one.values.length)) : 0;
  }

  pointTo(x) {
    const width = this.canvas.clientWidth - this.left - GAP.right;
    const index = Math.floor(((x - this.left) / width) * this.length());
    this.setCursor(index >= 0 && index < this.length() ? index : null);
  }

  key(event) {
    const last = this.length() - 1;
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    const from = this.cursor ?? last + 1;
    this.setCursor(Math.min(last, Math.max(0, from + moves[event.key])));
  }

  setCursor(index) {
    if (index === this.cursor) return;
    this.cursor = index;
    this.draw();
  }

  draw() {
    const { canvas, data } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!data || width === 0) return;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const paint = canvas.getContext("2d");
    paint.scale(scale, scale);
    const length = this.length();
    const sums = new Array(length).fill(0);
    for (const one of data.series) {
      one.values.forEach((value, at) => {
        sums[at] = this.options.stacked ? sums[at] + value : Math.max(sums[at], value);
      });
    }
    const top = roundUp(Math.max(0, ...sums, ...(data.line?.values ?? [])));
    paint.font = "11px system-ui, sans-serif";
    const lines = height > 200 ? 4 : 2;
    const marks = Array.from({ length: lines + 1 }, (_, line) => (top * line) / lines)
      .map((value) => [value, this.options.mark(value)]);
    this.left = Math.ceil(Math.max(...marks.map(([, text]) => paint.measureText(text).width))) + 8;
    const box = {
      width: width - this.left - GAP.right,
      height: height - GAP.top - GAP.bottom,
    };
    const x = (index) => this.left + (index / Math.max(1, length)) * box.width;
    const y = (value) => GAP.top + box.height * (1 - value / top);
    this.grid(paint, box, marks, y);
    this.times(paint, box, height);
    this.areas(paint, length, x, y);
    if (data.line) this.line(paint, data.line, x, y);
    if (data.spike >= 0) this.spike(paint, x(data.spike + 0.5), y(sums[data.spike]));
    if (this.cursor !== null && this.cursor < length) {
      paint.fillStyle = color("--text");
      paint.globalAlpha = 0.35;
      paint.fillRect(x(this.cursor + 0.5), GAP.top, 1, box.height);
      paint.globalAlpha = 1;
    }
    this.describe(length, sums);
  }

  grid(paint, box, marks, y) {
    paint.textBaseline = "middle";
    paint.textAlign = "right";
    for (const [value, text] of marks) {
      paint.fillStyle = color("--line");
      paint.fillRect(this.left, Math.round(y(value)), box.width, 1);
      paint.fillStyle = color("--dim");
      paint.fillText(text, this.left - 6, y(value));
    }
  }

  /** A mark that points to a point from above. */
  spike(paint, x, y) {
    paint.fillStyle = color("--bad");
    paint.beginPath();
    paint.moveTo(x, y - 1);
    paint.lineTo(x - 5, y - 9);
    paint.lineTo(x + 5, y - 9);
    paint.closePath();
    paint.fill();
  }

  times(paint, box, height) {
    const { start, step } = this.data;
    const length = this.length();
    if (!length) return;
    const whole = length * step;
    const marks = Math.max(2, Math.min(6, Math.floor(box.width / 110)));
    const between = STEPS.find((seconds) => seconds * 1000 * marks >= whole) ?? STEPS.at(-1);
    paint.fillStyle = color("--dim");
    const first = Math.ceil(start / (between * 1000)) * between * 1000;
    const times = [];
    for (let time = first; time <= start + whole; time += between * 1000) times.push(time);
    const texts = timeMarks(times, whole > LONG);
    let free = 0;
    for (const [number, time] of times.entries()) {
      const text = texts[number];
      const half = paint.measureText(text).width / 2;
      const place = this.left + ((time - start) / whole) * box.width;
      const at = Math.min(this.left + box.width - half, Math.max(this.left + half, place));
      if (at - half < free) continue;
      free = at + half + 6;
      paint.textAlign = "center";
      paint.fillText(text, at, height - 9);
    }
  }

  areas(paint, length, x, y) {
    const base = new Array(length).fill(0);
    for (const one of this.data.series) {
      const from = base.slice();
      if (this.options.stacked) one.values.forEach((value, at) => { base[at] += value; });
      const upper = this.options.stacked ? base : one.values;
      if (!one.values.some((value) => value > 0)) continue;
      paint.beginPath();
      for (let at = 0; at < length; at += 1) {
        paint.lineTo(x(at), y(upper[at]));
        paint.lineTo(x(at + 1), y(upper[at]));
      }
      if (!this.options.stacked) {
        paint.strokeStyle = color(one.color);
        paint.lineWidth = 1.2;
        paint.stroke();
      }
      for (let at = length - 1; at >= 0; at -= 1) {
        const value = this.options.stacked ? from[at] : 0;
        paint.lineTo(x(at + 1), y(value));
        paint.lineTo(x(at), y(value));
      }
      paint.closePath();
      paint.fillStyle = color(one.color);
      paint.globalAlpha = this.options.stacked ? 0.85 : 0.3;
      paint.fill();
      paint.globalAlpha = 1;
    }
  }

  line(paint, { values, color: name }, x, y) {
    paint.beginPath();
    values.forEach((value, at) => {
      paint.lineTo(x(at), y(value));
      paint.lineTo(x(at + 1), y(value));
    });
    paint.strokeStyle = color(name);
    paint.lineWidth = 1.5;
    paint.stroke();
  }

  /** The legend, with the values at the cursor or the greatest ones. */
  describe(length, sums) {
    const { format, label } = this.options;
    const at = this.cursor;
    const shown = [...this.data.series, this.data.line].filter(Boolean);
    const parts = shown.map((one) => {
      const value = at === null ? Math.max(0, ...one.values) : one.values[at] ?? 0;
      return [one.color, one.name, format(value)];
    });
    const { start, step } = this.data;
    const when = at === null ? "highest" : timeText(start + at * step);
    const items = [[null, when, ""], ...parts].map(([key, name, value]) => {
      const item = document.createElement("li");
      if (key) {
        const mark = document.createElement("i");
        mark.style.background = `var(${key})`;
        item.append(mark);
      }
      item.append(`${name} `);
      const number = document.createElement("b");
      number.textContent = value;
      item.append(number);
      return item;
    });
    this.legend.replaceChildren(...items);
    const highest = format(Math.max(0, ...sums));
    const values = parts.map(([, name, value]) => `${name} ${value}`).join(", ");
    this.canvas.setAttribute("aria-label", `${label}; ${when}: ${values}; in all ${highest}`);
  }
}

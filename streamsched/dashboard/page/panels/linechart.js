// A chart of lines over time on a canvas: axes, grid, areas, and a cursor that follows the pointer.

const SECOND = 1e3, MINUTE = 60e3, HOUR = 3600e3, DAY = 86400e3;
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 4, 6, 8, 12].map((n) => n * HOUR), ...[1, 2, 3, 5, 7, 15, 30, 60, 90, 180, 365].map((n) => n * DAY),
];
const HEIGHT = 150;
const PAD = { top: 8, right: 16, bottom: 26, left: 52 };   // the axes' labels are in the bottom and left ones
const TIME_SPACE = 70, VALUE_SPACE = 28;                   // the least distance of two labels, in pixels
const LABEL_GAP = 5, DOT = 3;

// The round times of the reader's clock from `low` to `high`: a day begins at local midnight, in summer and in winter.
export function timeTicks(low, high, width) {
  const step = TIME_STEPS.find((one) => (one / (high - low)) * width >= TIME_SPACE) ?? TIME_STEPS.at(-1);
  const local = (ms) => ms - new Date(ms).getTimezoneOffset() * MINUTE;
  const found = [];
  for (let n = Math.ceil(local(low) / step); n <= Math.floor(local(high) / step); n++) {
    found.push(new Date(1970, 0, 1, 0, 0, (n * step) / SECOND).getTime());
  }
  return found;
}

// Round values from zero to `high`. A quarter of one would need more digits than a label shows.
export function valueTicks(high, height) {
  const least = (high * VALUE_SPACE) / height;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((one) => one >= least * 0.9999 && (one >= 10 || one !== 2.5 * power));
  const found = [];
  for (let n = 0; n * step <= high; n++) found.push(n * step);
  return found;
}

// The powers of ten from `low` to `high`.
export function decades(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high * 1.0001; power++) found.push(10 ** power);
  return found;
}

// Where each scale begins and ends. A linear one begins at zero; a logarithmic one spans a decade or more.
function range(lines, log) {
  let low = Infinity, high = -Infinity;
  for (const values of lines) {
    for (const value of values) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!log) return [0, Math.max(1, high * 1.1)];
  return [Math.max(0.1, Math.min(1, low)), Math.max(10, high)];
}

/**
 * Draw lines into an element of the page.
 *
 * `series` has one { stroke, width, fill, dash } a line; `log` makes the values' scale logarithmic; `timeWords` and
 * `valueWords` write the labels; `onCursor` is called with the number of the point that is pointed at, or null.
 * `muted` and `rule` are the colours of labels and grid, `font` the labels' font.
 */
export class LineChart {
  #options; #canvas; #brush; #box; #observer; #density;
  #pointer = null;         // the pointer's x, in pixels of the canvas
  #asked = 0;
  ts = [];
  lines = [];
  cursor = null;           // the number of the point that is pointed at

  constructor(box, options) {
    this.#options = options;
    this.#box = box;
    this.#canvas = document.createElement("canvas");
    this.#brush = this.#canvas.getContext("2d");
    box.replaceChildren(this.#canvas);
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    for (const end of ["pointerleave", "pointercancel"]) this.#canvas.addEventListener(end, () => this.#point(null));
    this.#observer = new ResizeObserver(() => this.#ask());
    this.#observer.observe(box);
    this.#followDensity();
  }

  // Show other points: `ts` in ms, ascending; one list of values a line, null where there is none.
  show(ts, lines) {
    this.ts = ts;
    this.lines = lines;
    this.#place();
    this.#ask();
  }

  destroy() {
    this.#observer.disconnect();
    this.#density.removeEventListener("change", this.#denser);
    cancelAnimationFrame(this.#asked);
    this.#canvas.remove();
  }

  // A window that moves to a screen of another density is drawn again; each density has a query of its own.
  #followDensity() {
    this.#density = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    this.#density.addEventListener("change", this.#denser, { once: true });
  }

  #denser = () => { this.#followDensity(); this.#ask(); };

  #ask() {
    this.#asked ||= requestAnimationFrame(() => { this.#asked = 0; this.#draw(); });
  }

  get #width() { return Math.max(200, this.#box.clientWidth); }

  // The plot between the axes, and where on it a time and a value lie.
  #plot() {
    const right = this.#width - PAD.right, bottom = HEIGHT - PAD.bottom;
    const width = right - PAD.left, height = bottom - PAD.top;
    const { log } = this.#options;
    let [from, to] = [this.ts[0], this.ts.at(-1)];
    if (from === to) [from, to] = [from - MINUTE / 2, from + MINUTE / 2];     // one point is in the middle of a minute
    const [low, high] = range(this.lines, log);
    const share = log ? (value) => Math.log(value / low) / Math.log(high / low) : (value) => value / high;
    return {
      right, bottom, width, height, from, to, low, high,
      x: (ms) => PAD.left + ((ms - from) / (to - from)) * width,
      y: (value) => bottom - share(value) * height,
    };
  }

  #point(x) {
    this.#pointer = x;
    this.#place();
    this.#ask();
  }

  // Find the point that is nearest to the pointer.
  #place() {
    const before = this.cursor, plot = this.#plot();
    const inside = this.#pointer !== null && this.#pointer >= PAD.left && this.#pointer <= plot.right;
    this.cursor = null;
    if (inside) {
      let nearest = Infinity;
      this.ts.forEach((ms, n) => {
        const distance = Math.abs(plot.x(ms) - this.#pointer);
        if (distance < nearest) [nearest, this.cursor] = [distance, n];
      });
    }
    if (before !== null || this.cursor !== null) this.#options.onCursor(this.cursor);
  }

  #draw() {
    const canvas = this.#canvas, brush = this.#brush, density = devicePixelRatio;
    canvas.width = Math.round(this.#width * density);       // which also clears it
    canvas.height = Math.round(HEIGHT * density);
    Object.assign(canvas.style, { display: "block", width: `${this.#width}px`, height: `${HEIGHT}px` });
    brush.setTransform(density, 0, 0, density, 0, 0);
    const plot = this.#plot();
    this.#drawAxes(plot);
    if (!this.ts.length) return;
    brush.save();
    brush.beginPath();
    brush.rect(PAD.left, PAD.top - 2, plot.width, plot.height + 4);   // a line at either end of the scale keeps its width
    brush.clip();
    this.lines.forEach((values, n) => this.#drawLine(plot, values, this.#options.series[n]));
    brush.restore();
    if (this.cursor !== null) this.#drawCursor(plot);
  }

  #drawAxes(plot) {
    const brush = this.#brush, { log, muted, rule, font, timeWords, valueWords } = this.#options;
    // In the middle of a device's pixel where the line is an odd number of them wide, so that it stays sharp.
    const width = Math.max(1, Math.round(devicePixelRatio)), half = (width % 2) / 2;
    const sharp = (at) => (Math.round(at * devicePixelRatio) + half) / devicePixelRatio;
    const rules = new Path2D();
    brush.font = font;
    brush.fillStyle = muted;
    brush.textAlign = "right";
    brush.textBaseline = "middle";
    for (const value of log ? decades(plot.low, plot.high) : valueTicks(plot.high, plot.height)) {
      const y = sharp(plot.y(value));
      rules.moveTo(PAD.left, y);
      rules.lineTo(plot.right, y);
      brush.fillText(valueWords(value), PAD.left - LABEL_GAP, y);
    }
    brush.textAlign = "center";
    brush.textBaseline = "top";
    for (const ms of this.ts.length ? timeTicks(plot.from, plot.to, plot.width) : []) {
      const x = sharp(plot.x(ms));
      rules.moveTo(x, PAD.top);
      rules.lineTo(x, plot.bottom);
      brush.fillText(timeWords(ms), x, plot.bottom + LABEL_GAP);
    }
    brush.strokeStyle = rule;
    brush.lineWidth = width / devicePixelRatio;
    brush.stroke(rules);
  }

  // A line goes on over points that have no value; one value alone is a dot.
  #drawLine(plot, values, { stroke, width, fill, dash }) {
    const brush = this.#brush, line = new Path2D();
    const points = values.flatMap((value, n) => (value === null ? [] : [[plot.x(this.ts[n]), plot.y(value)]]));
    for (const [x, y] of points) line.lineTo(x, y);
    if (points.length === 1) this.#drawDot(...points[0], stroke);
    if (points.length < 2) return;
    if (fill) {
      const area = new Path2D(line);
      area.lineTo(points.at(-1)[0], plot.bottom);
      area.lineTo(points[0][0], plot.bottom);
      brush.fillStyle = fill;
      brush.fill(area);
    }
    brush.strokeStyle = stroke;
    brush.lineWidth = width;
    brush.lineJoin = "round";
    brush.setLineDash(dash ?? []);
    brush.stroke(line);
  }

  #drawDot(x, y, colour) {
    this.#brush.beginPath();
    this.#brush.arc(x, y, DOT, 0, 2 * Math.PI);
    this.#brush.fillStyle = colour;
    this.#brush.fill();
  }

  #drawCursor(plot) {
    const brush = this.#brush, x = Math.round(this.#pointer) + 0.5;
    brush.beginPath();
    brush.moveTo(x, PAD.top);
    brush.lineTo(x, plot.bottom);
    brush.strokeStyle = this.#options.muted;
    brush.lineWidth = 1;
    brush.setLineDash([3, 2]);
    brush.stroke();
    this.lines.forEach((values, n) => {
      const value = values[this.cursor];
      if (value !== null) this.#drawDot(plot.x(this.ts[this.cursor]), plot.y(value), this.#options.series[n].stroke);
    });
  }
}

// Numbers as people read them.

export function scaled(value, unit, base = 1000) {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let at = 0;
  let number = value;
  while (number >= base && at < prefixes.length - 1) {
    number /= base;
    at += 1;
  }
  const fraction = number < 10 ? 2 : number < 100 ? 1 : 0;
  const digits = at > 0 ? fraction : Number.isInteger(number) ? 0 : 1;
  return `${number.toFixed(digits)} ${prefixes[at]}${unit}`.trim();
}

/** A round number, without zeros at its end. */
export function rounded(value, unit) {
  if (value === 0) return "0";
  const [number, rest = ""] = scaled(value, unit).split(" ");
  const short = number.includes(".") ? number.replace(/\.?0+$/, "") : number;
  return `${short} ${rest}`.trim();
}

export const grouped = (value) => Number(value ?? 0).toLocaleString("en-US");
export const words = (name) => name.replaceAll("_", " ");

export function duration(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

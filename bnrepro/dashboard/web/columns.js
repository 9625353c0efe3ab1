// Columns as `bnrepro/dashboard/encoding.py` writes them, decoded when they are first drawn.

/** Decompress the bytes of a set, once. */
async function loadBytes(set) {
  if (set.buffer || set.bytes === undefined) return;
  const binary = atob(byId(`bytes-${set.bytes}`).textContent);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  set.buffer = await new Response(stream).arrayBuffer();
}

/** The values of an encoded column. */
function decode(column, buffer) {
  if (column.values && column.rows) return decode(column.values, buffer);
  const n = column.n;
  if ("c" in column) return new Array(n).fill(column.c);
  if ("w" in column) {
    const kind = column.w.length < 256 ? Uint8Array : Uint16Array;
    return Array.from(new kind(buffer, column.u, n), (i) => column.w[i]);
  }
  if ("g" in column) return new Float64Array(buffer, column.g, n);
  if ("f" in column) return new Float32Array(buffer, column.f, n);
  const steps = new Int32Array(buffer, column.d, n);
  const values = new Float64Array(n);
  for (let i = 0, sum = 0; i < n; i++) values[i] = (sum += steps[i]) / column.s;
  return values;
}

/** Equal columns of a set are decoded once, so that they are the same array. */
function shared(set, column) {
  set.decoded ??= new Map();
  const name = JSON.stringify(column);
  if (!set.decoded.has(name)) set.decoded.set(name, decode(column, set.buffer));
  return set.decoded.get(name);
}

/** The numbers of a chunk's column with the rows that came while the page was open. */
function columnOf(set, chunk, name) {
  chunk.decoded ??= {};
  const known = chunk.decoded[name];
  const extra = chunk.extra ?? [];
  if (known && known.extra === extra.length) return known.values;
  const encoded = chunk.columns[name];
  let values = encoded ? shared(set, encoded) : new Array(chunk.n).fill(NaN);
  if (extra.length) values = [...values, ...extra.map((row) => row[name] ?? NaN)];
  chunk.decoded[name] = { values, extra: extra.length };
  return values;
}

/** Row numbers of a column's values: all of them, or those that thinning kept. */
function rowsOf(set, chunk, name) {
  const encoded = chunk.columns[name];
  if (!encoded?.rows) return null;
  const rows = decode(encoded.rows, set.buffer);
  const extra = (chunk.extra ?? []).map((_, i) => chunk.n + i);
  return extra.length ? [...rows, ...extra] : rows;
}

/** The bucket means of a thinned column with the row in the middle of each; else nothing. */
function meansOf(set, chunk, name) {
  const encoded = chunk.columns[name];
  if (!encoded?.means) return null;
  const means = decode(encoded.means, set.buffer);
  return { means, rows: means.map((_, i) => Math.floor((i + 0.5) * encoded.size)) };
}

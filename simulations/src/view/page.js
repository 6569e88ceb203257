"use strict";
// What happened. Nodes count from 0, times are milliseconds of simulated time.
const F = /*FILM*/null;

// ---- what is true at a time; nothing here draws ----

// The place of the last of a list of [time, …] that is not after t, or -1.
function place(list, t) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle][0] <= t) low = middle + 1; else high = middle;
  }
  return low - 1;
}
function value(list, t) { const i = place(list, t); return i < 0 ? 0 : list[i][1]; }
function most(lists) { return lists.reduce((m, list) => list.reduce((n, [, v]) => Math.max(n, v), m), 1); }
function going(t) { return F.faults.filter(f => f.from <= t && t < Math.max(f.to, f.from + 250)); }

const RANK = { lossy: 1, slow: 2, mute: 3, cut: 4 };
// What is wrong with each way between two nodes: the worst of all that goes on.
function wires(t) {
  const found = new Map();
  for (const fault of going(t)) {
    if (t >= fault.to) continue;
    for (const [from, to, what] of fault.wires) {
      const key = from + ">" + to;
      if (!found.has(key) || RANK[found.get(key)] < RANK[what]) found.set(key, what);
    }
  }
  return found;
}
// The node that leads in the newest term, and the term.
function leader(t) {
  let best = null;
  F.leads.forEach((list, node) => {
    const term = value(list, t);
    if (term > 0 && value(F.standing.map(l => l)[node], t) !== "away" && (!best || term > best.term)) best = { node, term };
  });
  return best;
}
function at(t) {
  const top = Math.max(...F.applied.map(list => value(list, t)));
  const paused = new Set(going(t).filter(f => f.kind === "pause" && t < f.to).flatMap(f => f.nodes));
  return {
    leader: leader(t),
    wires: wires(t),
    waits: F.waits.map(([name, list]) => [name, value(list, t)]),
    nodes: F.standing.map((list, node) => ({
      is: paused.has(node) ? "paused" : value(list, t),
      leads: value(F.leads[node], t),
      applied: value(F.applied[node], t),
      behind: top - value(F.applied[node], t),
      works: value(F.works[node], t),
      hurt: going(t).filter(f => f.nodes.includes(node)).map(f => f.kind),
    })),
  };
}
// Who leads from when to when, for the band.
function reigns() {
  const times = [...new Set(F.leads.flat().concat(F.standing.flat()).map(([t]) => t))].sort((a, b) => a - b);
  const all = [];
  for (const t of times) {
    const now = leader(t), last = all[all.length - 1];
    if (last && last.node === (now ? now.node : -1) && last.term === (now ? now.term : 0)) continue;
    if (last) last.to = t;
    all.push({ from: t, to: F.end, node: now ? now.node : -1, term: now ? now.term : 0 });
  }
  return all;
}
function seconds(t) { return (t / 1000).toFixed(3) + " s"; }
function about(t) {
  const state = at(t), lead = state.leader;
  const waiting = state.waits.reduce((n, [, c]) => n + c, 0), working = state.nodes.reduce((n, node) => n + node.works, 0);
  const wrong = going(t).map(f => f.kind).join(", ");
  return (lead ? `n${lead.node + 1} leads in term ${lead.term}` : "nobody leads") + ` · ${waiting} wait · ${working} at work`
    + (wrong ? ` · ${wrong}` : F.quiet !== null && t >= F.quiet ? " · no more faults" : "");
}

// ---- drawing ----

function show() {
  const $ = id => document.getElementById(id);
  const style = getComputedStyle(document.documentElement);
  let C = {};
  const colours = () => { for (const n of ["ground", "panel", "ink", "soft", "line", "wire", "good", "wait", "bad", "calm", "crown", "glow"]) C[n] = style.getPropertyValue("--" + n).trim(); };
  const hue = node => `hsl(${(168 + node * 360 / Math.max(F.nodes, 3)) % 360} 48% 52%)`;
  const kindHue = kind => ({ crash: "bad", "empty-disk": "bad", "bit-flip": "bad", leave: "calm", restart: "calm", "rolling-restart": "calm", partition: "bad", partial: "bad", "one-way": "bad" }[kind] || "wait");
  const REIGNS = reigns(), KINDS = [...new Set(F.faults.map(f => f.kind))].sort();
  let t = 0, playing = false, before = 0, speed = 1, ringHits = [], timeHits = [];

  function fitted(canvas, height) {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, tall = height || canvas.clientHeight;
    if (height) canvas.style.height = height + "px";
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(tall * ratio)) {
      canvas.width = Math.round(width * ratio); canvas.height = Math.round(tall * ratio);
    }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, tall);
    return [g, width, tall];
  }
  function text(g, words, x, y, colour, size, align, weight) {
    g.font = `${weight || 400} ${size || 11}px system-ui, sans-serif`; g.textAlign = align || "left"; g.textBaseline = "middle"; g.fillStyle = colour; g.fillText(words, x, y);
  }
  function circle(g, x, y, r) { g.beginPath(); g.arc(x, y, r, 0, 7); }

  function drawRing() {
    const [g, width, height] = fitted($("ring")), state = at(t);
    const cx = width / 2, cy = height / 2 - 8, R = Math.max(60, Math.min(width / 2 - 90, height / 2 - 76)), size = F.nodes > 5 ? 25 : 32;
    const spot = i => { const a = -Math.PI / 2 + i * 2 * Math.PI / F.nodes; return F.nodes === 1 ? [cx, cy - R / 2] : [cx + R * Math.cos(a), cy + R * Math.sin(a)]; };
    ringHits = [];
    for (let a = 0; a < F.nodes; a++) for (let b = 0; b < F.nodes; b++) {
      if (a === b) continue;
      const way = state.wires.get(a + ">" + b), back = state.wires.get(b + ">" + a);
      if (way === back && a > b) continue;
      const [x1, y1] = spot(a), [x2, y2] = spot(b), long = Math.hypot(x2 - x1, y2 - y1) || 1;
      // Ways that differ stand beside each other.
      const off = way === back ? 0 : 5, dx = -(y2 - y1) / long * off, dy = (x2 - x1) / long * off;
      g.beginPath(); g.moveTo(x1 + dx, y1 + dy); g.lineTo(x2 + dx, y2 + dy);
      g.strokeStyle = { cut: C.bad, mute: C.calm, slow: C.wait, lossy: C.wait }[way] || C.wire;
      g.lineWidth = way === "cut" ? 2.4 : 1.6;
      g.setLineDash({ cut: [5, 7], mute: [1, 5], slow: [12, 5], lossy: [2, 7] }[way] || []);
      g.lineDashOffset = way === "slow" ? -t / 60 : 0;
      g.stroke(); g.setLineDash([]);
      const mx = (x1 + x2) / 2 + dx, my = (y1 + y2) / 2 + dy;
      if (way === "cut") { g.lineWidth = 2.4; g.beginPath(); g.moveTo(mx - 5, my - 5); g.lineTo(mx + 5, my + 5); g.moveTo(mx + 5, my - 5); g.lineTo(mx - 5, my + 5); g.stroke(); }
      if (way && way !== back) { const u = Math.atan2(y2 - y1, x2 - x1); g.fillStyle = g.strokeStyle; g.beginPath(); g.moveTo(mx + 14 * Math.cos(u), my + 14 * Math.sin(u)); g.lineTo(mx + 6 * Math.cos(u + 1), my + 6 * Math.sin(u + 1)); g.lineTo(mx + 6 * Math.cos(u - 1), my + 6 * Math.sin(u - 1)); g.fill(); }
      if (way) ringHits.push([mx, my, 14, `n${a + 1} ${way === back ? "and" : "to"} n${b + 1}: ${way}\n` + going(t).filter(f => f.wires.some(([p, q]) => p === a && q === b)).map(f => f.text).join("\n")]);
    }
    // What waits, in the middle.
    const waiting = state.waits.reduce((n, [, c]) => n + c, 0);
    g.fillStyle = C.glow; circle(g, cx, cy, 20 + Math.min(34, Math.sqrt(waiting) * 5)); g.fill();
    text(g, String(waiting), cx, cy - 5, C.ink, 20, "center", 650);
    text(g, "wait", cx, cy + 12, C.soft, 11, "center");
    ringHits.push([cx, cy, 26, state.waits.map(([name, c]) => `${name}: ${c} wait`).join("\n") || "nothing was submitted yet"]);
    // Tasks on their way: to a node, and back from it.
    const FLIGHT = 350;
    for (let i = place(F.flights, t); i >= 0 && F.flights[i][0] > t - FLIGHT; i--) {
      const [when, node, how] = F.flights[i], part = (t - when) / FLIGHT, [x, y] = spot(node), p = how === "to" ? part : 1 - part;
      g.fillStyle = { to: C.good, done: C.good, failed: C.bad, back: C.wait }[how]; g.globalAlpha = how === "to" ? 1 : 1 - part;
      circle(g, cx + (x - cx) * p, cy + (y - cy) * p, 3.5); g.fill(); g.globalAlpha = 1;
    }
    state.nodes.forEach((node, i) => {
      const [x, y] = spot(i), up = node.is === "up", leads = state.leader && state.leader.node === i;
      if (leads) { g.strokeStyle = C.crown; g.lineWidth = 3; circle(g, x, y, size + 6); g.stroke(); }
      g.fillStyle = up ? hue(i) : C.panel; g.strokeStyle = { failed: C.bad, away: C.bad, starts: C.wait, paused: C.calm, stopped: C.soft }[node.is] || hue(i); g.lineWidth = 2.5;
      g.setLineDash(up ? [] : [4, 4]); circle(g, x, y, size); g.fill(); g.stroke(); g.setLineDash([]);
      text(g, "n" + (i + 1), x, y - 5, up ? "#fff" : C.ink, 15, "center", 650);
      text(g, up ? "log " + node.applied : node.is, x, y + 10, up ? "#fff" : g.strokeStyle, 10, "center");
      for (let k = 0; k < Math.min(node.works, 16); k++) {
        const a = k * 2 * Math.PI / Math.max(node.works, 8) + t / 1400;
        g.fillStyle = hue(i); circle(g, x + (size + 14) * Math.cos(a), y + (size + 14) * Math.sin(a), 3.2); g.fill();
      }
      const under = y + size + 27, words = leads ? `leads, term ${node.leads}` : node.leads ? `believes to lead, term ${node.leads}` : "";
      if (words) text(g, words, x, under, leads ? C.crown : C.bad, 11, "center", 600);
      if (node.hurt.length) text(g, node.hurt.join(", "), x, under + (words ? 14 : 0), C.bad, 11, "center");
      else if (up && node.behind > 20) text(g, node.behind + " behind", x, under + (words ? 14 : 0), C.soft, 11, "center");
      ringHits.push([x, y, size + 8, `n${i + 1}: ${node.is}${words ? ", " + words : ""}\n${node.works} of its agents at work\nlog applied to ${node.applied}, ${node.behind} behind\n${node.hurt.join(", ")}`]);
    });
  }

  const LEFT = 92, RIGHT = 12;
  let across = 1;
  const X = when => LEFT + when / Math.max(F.end, 1) * across;
  function drawTime() {
    const row = KINDS.length > 12 ? 9 : 12, nodeRow = 9, chart = 38;
    const height = 8 + KINDS.length * row + 8 + 16 + F.nodes * nodeRow + 10 + chart * 2 + 26;
    const [g, width] = fitted($("time"), height);
    across = Math.max(width - LEFT - RIGHT, 1); timeHits = [];
    let y = 8;
    if (F.quiet !== null) { g.fillStyle = C.glow; g.fillRect(X(F.quiet), 4, X(F.end) - X(F.quiet), height - 26); }
    for (const kind of KINDS) {
      text(g, kind, LEFT - 8, y + row / 2, C.soft, row > 10 ? 10.5 : 9, "right");
      for (const f of F.faults.filter(f => f.kind === kind)) {
        const x = X(f.from), w = Math.max(X(f.to) - x, 3);
        g.fillStyle = C[kindHue(kind)]; g.globalAlpha = f.from <= t && t < f.to ? 1 : .62; g.fillRect(x, y + 1.5, w, row - 3); g.globalAlpha = 1;
        timeHits.push([x - 2, y, w + 4, row, `${seconds(f.from)}${f.to > f.from ? " to " + seconds(f.to) : ""}\n${f.text}`]);
      }
      y += row;
    }
    y += 8;
    text(g, "leader", LEFT - 8, y + 7, C.soft, 10.5, "right");
    for (const r of REIGNS) {
      if (r.node < 0) continue;
      const x = X(r.from), w = Math.max(X(r.to) - x, 1);
      g.fillStyle = hue(r.node); g.fillRect(x, y, w, 13);
      if (w > 46) text(g, `n${r.node + 1}, term ${r.term}`, x + 5, y + 7, "#fff", 10);
      timeHits.push([x, y, w, 13, `n${r.node + 1} leads in term ${r.term}\n${seconds(r.from)} to ${seconds(r.to)}`]);
    }
    y += 17;
    F.standing.forEach((list, i) => {
      text(g, "n" + (i + 1), LEFT - 8, y + nodeRow / 2, C.soft, 9.5, "right");
      list.forEach(([from, is], k) => {
        const to = k + 1 < list.length ? list[k + 1][0] : F.end, x = X(from), w = Math.max(X(to) - x, .8);
        if (is === "away" && from === 0) return;
        g.fillStyle = { up: hue(i), starts: C.wait, failed: C.bad, away: C.bad, stopped: C.line }[is]; g.globalAlpha = is === "up" ? .75 : 1;
        g.fillRect(x, y + 1, w, nodeRow - 3); g.globalAlpha = 1;
        timeHits.push([x, y, w, nodeRow, `n${i + 1}: ${is}\n${seconds(from)} to ${seconds(to)}`]);
      });
      y += nodeRow;
    });
    y += 8;
    const stacked = (name, lists, colour) => {
      const times = [...new Set(lists.flat().map(([when]) => when))].sort((a, b) => a - b), sums = times.map(() => 0);
      const layers = lists.map(list => times.map((when, k) => sums[k] += value(list, when)));
      const top = Math.max(1, ...sums);
      text(g, name, LEFT - 8, y + 10, C.soft, 10.5, "right"); text(g, "up to " + top, LEFT - 8, y + 23, C.soft, 9, "right");
      for (let i = lists.length - 1; i >= 0; i--) {
        g.beginPath(); g.moveTo(X(0), y + chart - 4);
        times.forEach((when, k) => { const h = y + chart - 4 - layers[i][k] / top * (chart - 8); g.lineTo(X(when), k ? y + chart - 4 - layers[i][k - 1] / top * (chart - 8) : h); g.lineTo(X(when), h); });
        g.lineTo(X(F.end), y + chart - 4 - (times.length ? layers[i][times.length - 1] / top * (chart - 8) : 0)); g.lineTo(X(F.end), y + chart - 4); g.closePath();
        g.fillStyle = colour(i); g.globalAlpha = .8; g.fill(); g.globalAlpha = 1;
      }
      y += chart;
    };
    stacked("waiting", F.waits.map(([, list]) => list), i => i ? C.wait : C.calm);
    stacked("at work", F.works, hue);
    g.strokeStyle = C.line; g.lineWidth = 1; g.beginPath(); g.moveTo(LEFT, y + 3); g.lineTo(X(F.end), y + 3); g.stroke();
    const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find(s => F.end / 1000 / s <= 14) || 7200;
    for (let s = 0; s * 1000 <= F.end; s += step) { g.beginPath(); g.moveTo(X(s * 1000), y + 1); g.lineTo(X(s * 1000), y + 6); g.stroke(); text(g, s + " s", X(s * 1000), y + 13, C.soft, 9.5, "center"); }
    for (const b of F.broken) {
      const x = X(b.at); g.strokeStyle = g.fillStyle = C.bad; g.lineWidth = 1.5; g.beginPath(); g.moveTo(x, 2); g.lineTo(x, y + 4); g.stroke(); g.beginPath(); g.moveTo(x, 2); g.lineTo(x + 9, 6); g.lineTo(x, 10); g.fill();
      timeHits.unshift([x - 3, 0, 14, height, `${seconds(b.at)}: “${b.judge}” is broken\n${b.what}`]);
    }
    g.strokeStyle = C.ink; g.lineWidth = 1.4; g.beginPath(); g.moveTo(X(t), 2); g.lineTo(X(t), y + 4); g.stroke();
    g.fillStyle = C.ink; circle(g, X(t), y + 4, 3.6); g.fill();
  }

  function drawLines() {
    const who = $("who").value, word = $("word").value.trim().toLowerCase(), list = $("lines"), room = Math.floor((list.clientHeight - 8) / 18), found = [];
    for (let i = place(F.lines, t); i >= 0 && found.length < room; i--) {
      const [, node, words] = F.lines[i];
      if ((who === "" || String(node) === who) && (!word || words.toLowerCase().includes(word))) found.push(F.lines[i]);
    }
    list.replaceChildren(...found.reverse().map(([when, node, words]) => {
      const li = document.createElement("li"), said = words.replace(/^(n\d+|--) +/, "");
      [(when / 1000).toFixed(3), node === null ? "" : "n" + node, said].forEach((part, k) => {
        const span = document.createElement("span"); span.textContent = part;
        if (k === 1 && node !== null) span.style.color = hue(node - 1);
        li.append(span);
      });
      li.className = /^(fault|healed|lost)/.test(said) ? "fault" : /^panic|failed:/.test(said) ? "bad" : "";
      li.title = words; li.onclick = () => go(when);
      return li;
    }));
  }

  function draw() {
    drawRing(); drawTime(); drawLines();
    $("clock").textContent = seconds(t); $("now").textContent = about(t);
    $("play").textContent = playing ? "❚❚" : "▶";
  }
  function go(to) { t = Math.max(0, Math.min(F.end, Math.round(to))); draw(); }
  function frame(now) {
    if (!playing) return;
    t = Math.min(F.end, t + Math.min(now - before, 100) * speed); before = now;
    if (t >= F.end) playing = false;
    draw();
    if (playing) requestAnimationFrame(frame);
  }
  function toggle() {
    playing = !playing;
    if (playing) { if (t >= F.end) t = 0; before = performance.now(); requestAnimationFrame(frame); } else draw();
  }
  function jump(way) {
    const times = [...new Set(F.faults.map(f => f.from))].sort((a, b) => a - b);
    const to = way > 0 ? times.find(x => x > t) : times.filter(x => x < t - 1).pop();
    if (to !== undefined) go(to);
  }
  function tip(event, words) {
    const box = $("tip"); box.hidden = !words;
    if (!words) return;
    box.textContent = words;
    box.style.left = Math.min(event.clientX + 14, window.innerWidth - box.offsetWidth - 8) + "px";
    box.style.top = Math.max(8, event.clientY - box.offsetHeight - 12) + "px";
  }

  colours();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colours(); draw(); });
  $("replay").textContent = F.replay;
  $("verdict").textContent = F.broken.length ? F.broken.map(b => `“${b.judge}” is broken`).join(", ") : "every judge is content";
  $("verdict").className = F.broken.length ? "broken" : "";
  $("wrong").hidden = !F.broken.length;
  document.title = F.replay;
  for (const [value, name] of [["", "all"], ...F.standing.map((_, i) => [String(i + 1), "n" + (i + 1)])]) $("who").append(new Option(name, value));
  for (const each of [.1, .25, .5, 1, 2, 4, 8, 16]) $("speed").append(new Option("×" + each, each));
  // As long as one likes to watch.
  speed = [.25, .5, 1, 2, 4, 8, 16].find(s => F.end / s <= 45000) || 16; $("speed").value = speed;
  for (const [colour, words] of [["wire", "wire"], ["bad", "cut"], ["calm", "silent"], ["wait", "slow or lossy"], ["crown", "leader"]]) {
    const part = document.createElement("span"), mark = document.createElement("i"); mark.style.borderColor = `var(--${colour})`; part.append(mark, words); $("legend").append(part);
  }
  $("play").onclick = toggle; $("back").onclick = () => jump(-1); $("next").onclick = () => jump(1);
  $("wrong").onclick = () => { const later = F.broken.map(b => b.at).sort((a, b) => a - b); go(later.find(x => x > t) ?? later[0]); };
  $("speed").onchange = () => { speed = Number($("speed").value); };
  $("who").onchange = $("word").oninput = drawLines;
  const time = $("time"), when = event => (event.offsetX - LEFT) / across * F.end;
  time.onpointerdown = event => { time.setPointerCapture(event.pointerId); playing = false; go(when(event)); };
  time.onpointermove = event => {
    if (event.buttons) return go(when(event));
    const hit = timeHits.find(([x, y, w, h]) => event.offsetX >= x && event.offsetX <= x + w && event.offsetY >= y && event.offsetY <= y + h);
    tip(event, hit ? hit[4] : event.offsetX >= LEFT ? seconds(Math.max(0, Math.min(F.end, when(event)))) : "");
  };
  $("ring").onpointermove = event => { const hit = ringHits.findLast(([x, y, r]) => Math.hypot(event.offsetX - x, event.offsetY - y) <= r); tip(event, hit ? hit[3].trim() : ""); };
  time.onpointerleave = $("ring").onpointerleave = event => tip(event, "");
  document.onkeydown = event => {
    if (event.target.matches("input, select")) return;
    if (event.key === " ") { event.preventDefault(); if (!event.target.matches("button") || event.target.id === "play") toggle(); }
    if (event.key === "ArrowLeft") { if (event.shiftKey) jump(-1); else go(t - 100 * Math.max(speed, .1)); }
    if (event.key === "ArrowRight") { if (event.shiftKey) jump(1); else go(t + 100 * Math.max(speed, .1)); }
    if (event.key === "Home") go(0);
    if (event.key === "End") go(F.end);
  };
  window.onresize = draw;
  draw();
}
if (typeof document !== "undefined") show();

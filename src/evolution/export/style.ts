/** The report's style sheet. Light and dark by the reader's preference; prints without the interactive parts. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--panel:#fff;--ink:#171b22;--dim:#5d6675;--faint:#8b94a3;--line:#e2e6ec;--grid:#eef0f4;
--credited:#0b8a68;--uncredited:#7b8798;--flagged:#c77700;--rejected:#c8402f;--void:#a3acb9;--accent:#2455d6;--accent-soft:#2455d61c;--good-soft:#0b8a6818;
--warn-soft:#c7770018;--bad-soft:#c8402f14;--code:#f3f5f8;--add:#e2f5ea;--del:#fce8e5;--shadow:0 1px 2px #10203012,0 8px 28px #10203010}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--panel:#151b23;--ink:#e8ecf2;--dim:#9aa5b5;--faint:#727d8d;--line:#29313c;--grid:#1f2731;
--credited:#3ecf9d;--uncredited:#8794a8;--flagged:#f0a83c;--rejected:#ff7a68;--void:#5b6675;--accent:#86a8ff;--accent-soft:#86a8ff24;--good-soft:#3ecf9d1c;
--warn-soft:#f0a83c1c;--bad-soft:#ff7a681c;--code:#10161d;--add:#12352a;--del:#3d1f1e;--shadow:0 1px 2px #0006}}
*{box-sizing:border-box}
html{scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1144px;margin:0 auto;padding:32px 20px 80px}
a{color:var(--accent)}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.08rem;margin:0 0 2px;letter-spacing:-.005em}
h3{font-size:.95rem;margin:18px 0 6px}
p{margin:0 0 10px}
code,pre,.mono{font:12.5px/1.5 ui-monospace,"SF Mono",SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
section{background:var(--panel);border:1px solid var(--line);border-radius:14px;padding:20px 22px;margin:18px 0;box-shadow:var(--shadow)}
.sub{color:var(--dim);margin:0 0 12px;font-size:.9rem}
.hero{display:grid;grid-template-columns:minmax(230px,auto) 1fr;gap:10px 44px;align-items:center;padding:26px 28px}
.hero .big{font-size:clamp(3.4rem,9vw,5.4rem);line-height:1;font-weight:700;letter-spacing:-.045em;color:var(--credited)}
.hero .big.none{color:var(--dim);font-size:2.4rem;letter-spacing:-.02em}
.hero .big small{font-size:.5em;font-weight:600;margin-left:.06em}
.hero .ci{color:var(--dim);margin:8px 0 0}
.bars{border-collapse:collapse;width:100%}
.bars th{font-weight:500;text-align:left;padding:5px 14px 5px 0;white-space:nowrap}
.bars td{padding:5px 0;white-space:nowrap;text-align:right}
.bars td.plot{width:99%;padding:0 16px;text-align:left}
.bars b{font-size:1.06rem}
.facts{display:flex;flex-wrap:wrap;gap:1px;background:var(--line);border:1px solid var(--line);border-radius:14px;overflow:hidden;margin:18px 0;box-shadow:var(--shadow)}
.facts>div{background:var(--panel);padding:13px 18px;flex:1 1 142px}
.facts .k{color:var(--dim);font-size:.8rem}
.facts .v{font-size:1.18rem;font-weight:600;white-space:nowrap}
.facts .s{color:var(--dim);font-size:.8rem}
.chip{display:inline-block;border-radius:99px;padding:1px 10px;font-size:.8rem;font-weight:600;border:1px solid transparent;white-space:nowrap}
.chip.credited,.chip.passed{color:var(--credited);background:var(--good-soft)}
.chip.uncredited,.chip.void{color:var(--dim);background:var(--grid)}
.chip.flagged{color:var(--flagged);background:var(--warn-soft)}
.chip.rejected{color:var(--rejected);background:var(--bad-soft)}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--dim);font-size:.84rem;margin:0 0 8px;padding:0;list-style:none}
.legend svg{vertical-align:-2px;margin-right:6px}
.chart{display:block;width:100%;height:auto}
.axis text{fill:var(--dim);font-size:12px}
.axis-title{fill:var(--faint)!important}
.axis .grid{stroke:var(--grid)}.axis .tick,.axis .base{stroke:var(--line)}
.strip{fill:var(--bad-soft)}
.unity{stroke:var(--faint);stroke-dasharray:2 4;fill:none}.unity-label{fill:var(--faint);font-size:11.5px}
.whiskers{stroke:var(--faint);stroke-width:1;opacity:.5;fill:none}
.best-line{stroke:var(--accent);stroke-width:2.4;fill:none;stroke-linejoin:round}
.control-line{stroke:var(--flagged);stroke-width:2.2;stroke-dasharray:7 5;fill:none;stroke-linejoin:round}
.control-label{fill:var(--flagged);font-weight:600;font-size:13px;paint-order:stroke;stroke:var(--panel);stroke-width:4px;stroke-linejoin:round}
.against{border-left:3px solid var(--accent);background:var(--accent-soft);padding:8px 14px;border-radius:0 8px 8px 0}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:18px}
.best-area{fill:var(--accent-soft)}
.best-label{fill:var(--accent);font-weight:700;font-size:15px;paint-order:stroke;stroke:var(--panel);stroke-width:4px;stroke-linejoin:round}
.mark{stroke-width:1.6;cursor:pointer}
.mark.credited{fill:var(--credited);stroke:var(--panel);stroke-width:.8}
.mark.uncredited{fill:var(--panel);stroke:var(--uncredited)}
.mark.flagged{fill:var(--flagged);stroke:var(--panel);stroke-width:.8}
.mark.rejected{fill:none;stroke:var(--rejected)}
.mark.void{fill:none;stroke:var(--void)}
.mark.champion{stroke:var(--accent);stroke-width:3}
.mark.on{stroke:var(--ink);stroke-width:3}
circle.mark.rejected,circle.mark.void{fill:none}
.scroll{overflow:auto;max-height:660px;border-radius:8px;outline-offset:2px}
.scroll:focus-visible{outline:2px solid var(--accent)}
.tree{display:block}
.edges{stroke:var(--uncredited);stroke-width:1.2;fill:none;opacity:.42}
.crossings{stroke:var(--flagged);stroke-width:1.2;stroke-dasharray:3 3;fill:none;opacity:.6}
.lineage{stroke:var(--accent);stroke-width:3.4;fill:none;stroke-linecap:round}
.trail{stroke:var(--ink);stroke-width:2.2;fill:none;stroke-linecap:round}
.two{display:grid;grid-template-columns:minmax(0,1.08fr) minmax(0,1fr);gap:18px}
.two>section{margin:0;min-width:0}
.two+section,section+.two{margin-top:18px}
.roof{stroke:var(--dim);stroke-width:1.5;fill:none}.roof-label{fill:var(--dim);font-size:11px}
.reach .rise{stroke:var(--credited);stroke-width:1.6;fill:none;opacity:.7}
.reach .from{fill:var(--panel);stroke:var(--uncredited);stroke-width:1.6}.reach .to{fill:var(--credited);stroke:var(--panel)}
.interval{display:block;max-width:100%}
.interval .stem{stroke:var(--credited);stroke-width:6;opacity:.16}.interval .span{stroke:var(--credited);stroke-width:1.8;fill:none}.interval circle{fill:var(--credited)}
.interval.uncredited .stem,.interval.uncredited .span{stroke:var(--uncredited)}.interval.uncredited circle{fill:var(--uncredited)}
.multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(226px,1fr));gap:14px 18px}
.multiples figure{margin:0}.multiples figcaption{font-size:.84rem;color:var(--dim)}.multiples figcaption b{color:var(--accent)}
.multiples .top{stroke:var(--dim);stroke-width:2.4}.multiples .top.chosen{stroke:var(--accent);stroke-width:3.4}.multiples text.chosen{fill:var(--accent);font-weight:700}
table.grid{border-collapse:collapse;width:100%;font-size:.88rem}
table.grid th{color:var(--dim);font-weight:500;text-align:left;border-bottom:1px solid var(--line);padding:6px 12px 6px 0;white-space:nowrap}
table.grid td{border-bottom:1px solid var(--grid);padding:6px 12px 6px 0;vertical-align:middle;overflow-wrap:anywhere}
table.grid td>code{white-space:nowrap}table.grid .n{text-align:right;white-space:nowrap}
table.grid tr[data-n]{cursor:pointer}table.grid tr[data-n]:hover,table.grid tr.on{background:var(--accent-soft)}
.wide{overflow-x:auto}
pre{background:var(--code);border:1px solid var(--line);border-radius:10px;padding:14px 16px;overflow:auto;max-height:560px;margin:8px 0;tab-size:4}
pre .add{background:var(--add);display:block}pre .del{background:var(--del);display:block}pre .gap{color:var(--faint);display:block}
ol.steps{list-style:none;margin:8px 0 0;padding:0}
ol.steps li{display:grid;grid-template-columns:70px 86px 1fr;gap:12px;padding:9px 0;border-top:1px solid var(--grid);align-items:baseline}
ol.steps .gain{font-weight:700;color:var(--accent)}
details>summary{cursor:pointer;color:var(--dim);padding:4px 0}
#panel{position:fixed;inset:auto 0 0 auto;width:min(620px,100vw);max-height:82vh;overflow:auto;background:var(--panel);border:1px solid var(--line);border-radius:16px 0 0 0;box-shadow:0 0 60px #0004;padding:18px 22px;z-index:5}
#panel[hidden]{display:none}
#panel header{display:flex;align-items:baseline;gap:10px;flex-wrap:wrap}#panel header h2{margin-right:auto}
button{font:inherit;color:var(--ink);background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:3px 11px;cursor:pointer}
button:hover{border-color:var(--faint)}button[aria-selected=true],button[aria-pressed=true]{background:var(--accent-soft);border-color:var(--accent);color:var(--accent)}
button:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
.row{display:flex;flex-wrap:wrap;gap:8px;align-items:center;margin:8px 0}
#tip{position:fixed;pointer-events:none;z-index:9;background:var(--ink);color:var(--bg);border-radius:8px;padding:6px 10px;font-size:.82rem;max-width:340px;box-shadow:var(--shadow)}
#tip[hidden]{display:none}
.note{border-left:3px solid var(--flagged);background:var(--warn-soft);padding:8px 14px;border-radius:0 8px 8px 0;margin:12px 0}
.proof{overflow-wrap:anywhere}
@media (max-width:900px){.two{grid-template-columns:1fr}}
@media (max-width:720px){.hero{grid-template-columns:1fr}ol.steps li{grid-template-columns:56px 72px 1fr}}
@media print{:root{color-scheme:light}body{background:#fff;font-size:11px}main{max-width:none;padding:0}section{box-shadow:none;break-inside:avoid;border-radius:0;border-width:1px 0 0;padding:12px 0;margin:0}
#panel,#tip,.row,.screen{display:none!important}pre{max-height:none;white-space:pre-wrap;break-inside:auto}section.long{break-inside:auto}.scroll{max-height:none;overflow:visible}.tree{max-width:100%;height:auto}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
`;

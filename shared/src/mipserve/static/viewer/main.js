// @ts-check
import { followAddress } from "./address.js";
import { Canvas } from "./canvas.js";
import { connectCompare } from "./compare.js";
import { connectCorrections } from "./correct/connect.js";
import { connectDisplay } from "./display.js";
import { at, onclick } from "./dom.js";
import { connectFiles } from "./files.js";
import { FilmPlayer } from "./film.js";
import { showFinding } from "./finding.js";
import { connectKeys } from "./keys.js";
import { makeLayers } from "./layers.js";
import { measureLesions } from "./lesions.js";
import { Opener } from "./open.js";
import { connectLooks } from "./looks.js";
import { Planes } from "./planes.js";
import { connectPoint } from "./point.js";
import { connectSamples, fetchReference } from "./samples.js";
import { connectSave } from "./save.js";
import { showStage } from "./stage.js";
import { watchStatus } from "./status.js";
import { Store } from "./store.js";
import { LesionTable } from "./table.js";
import { START } from "./types.js";
import { showVolume } from "./volume.js";

const store = new Store(START);
store.subscribe(["mask", "spacing"], (state) => {
  store.update({ ...measureLesions(state.mask, state.width, state), selected: 0, hovered: 0 });
});

const canvas = new Canvas(at("picture"), store, makeLayers());
const table = new LesionTable(store, ({ centroid: [y, x] }) => canvas.show({ x, y }));
canvas.onpick = ({ x, y }, isClick) => {
  const { width, height, labels } = store.state, isInside = x >= 0 && y >= 0 && x < width && y < height;
  const id = isInside ? labels[Math.floor(y) * width + Math.floor(x)] : 0;
  store.update(isClick ? { selected: id } : { hovered: id });
};
const opener = new Opener(store);
showStage(canvas);
showFinding(store, fetch("static/warnings.json").then((answer) => answer.json(), () => ({})), watchStatus());
showVolume(store);
connectPoint(store, () => opener.predict());
connectDisplay(store, (pixelSize) => opener.again(pixelSize));
connectCompare(store, fetchReference);
connectSave(store, table, canvas.layers);
const keys = connectKeys(canvas, table);
connectCorrections(canvas, keys);
connectLooks(canvas, keys);
new FilmPlayer(store);
new Planes(store);
connectFiles((files) => opener.open(files));
onclick("cancel", () => opener.cancel());
document.addEventListener("keydown", ({ key }) => key === "Escape" && store.state.phase === "working" && opener.cancel());
const openSample = connectSamples((files, about) => opener.open(files, about));
at("address").textContent = new URL(".", location.href).href;
await followAddress(store, openSample);

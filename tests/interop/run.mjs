// Every foreign peer in every role against ww-echo. See run.sh.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import * as chromium from "./chromium.mjs";
import * as nodeDatachannel from "./node_datachannel.mjs";

const program = process.argv[2];
const only = process.argv[3];
let passed = 0;
let failed = 0;

function report(title, what, error) {
    if (error) {
        failed++;
        console.log(`FAILED ${title}: ${what}: ${error}`);
    } else {
        passed++;
    }
}

function startEcho(args) {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const exited = new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code)));
    const timer = setTimeout(() => child.kill("SIGKILL"), 60000);
    exited.then(() => clearTimeout(timer));
    return {
        send: (object) => child.stdin.write(JSON.stringify(object) + "\n"),
        async next() {
            const { value, done } = await lines.next();
            if (done)
                throw new Error("ww-echo ended");
            return JSON.parse(value);
        },
        exited,
        kill: () => child.kill("SIGKILL"),
    };
}

// side: what ww-echo does in SDP; role: its DTLS role.
async function run(foreign, side, role, path) {
    const title = `${foreign.name}, ww ${side}s as DTLS ${role}${path ? ` ${path}` : ""}`;
    const echo = startEcho([side, role, ...(path ? [path] : [])]);
    const started = Date.now();
    const before = passed;
    try {
        const check = { report: (what, error) => report(title, what, error) };
        const peer = await foreign.connect({ report: (...args) => current.report(...args) });
        current = check;
        if (side === "offer") {
            echo.send(await peer.answer(await echo.next()));
        } else {
            echo.send(await peer.offer());
            await peer.accept(await echo.next());
        }
        const connected = await echo.next();
        check.report("connects", connected.connected ? "" : JSON.stringify(connected));
        check.report("data path", connected.direct === !path ? "" : JSON.stringify(connected));
        await peer.exercise();
        await peer.close();
        const closed = await echo.next();
        check.report("is told of the end", closed.closed === "ECLOSED" ? "" : JSON.stringify(closed));
        const code = await echo.exited;
        check.report("ww-echo ends well", code === 0 ? "" : `exit ${code}`);
    } catch (error) {
        report(title, "run", error.message);
        echo.kill();
    }
    console.log(`${title}: ${passed - before} passed, ${Date.now() - started} ms`);
}

let current;
for (const module of [nodeDatachannel, chromium]) {
    let foreign;
    try {
        foreign = await module.open();
    } catch (error) {
        report("start", "peer", error.message);
        continue;
    }
    if (!only || only === foreign.name) {
        await run(foreign, "answer", "client");
        await run(foreign, "answer", "server");
        await run(foreign, "offer", "server");
        await run(foreign, "answer", "server", "--libnice");
    }
    await foreign.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

// Headless Chromium as the peer. The page holds the RTCPeerConnection and runs exercise.js.
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const local = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

export async function open() {
    // Permissions are granted to an origin, so the page needs one.
    const server = createServer((_, response) => {
        response.setHeader("content-type", "text/html");
        response.end("<!doctype html><title>ww</title>");
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const origin = `http://127.0.0.1:${server.address().port}`;
    const browser = await chromium.launch({
        executablePath: "/usr/bin/chromium",
        headless: true,
        args: ["--no-sandbox", "--disable-gpu", "--allow-loopback-in-peer-connection"],
    });
    const context = await browser.newContext();
    await context.grantPermissions(["camera", "microphone"], { origin });
    const page = await context.newPage();
    await page.goto(origin);
    return {
        name: "chromium",
        async connect(check) {
            await page.exposeFunction("report", check.report).catch(() => {});
            await page.addScriptTag({ content: local("channels.js") + local("exercise.js") });
            await page.evaluate(() => {
                const wrap = (raw) => {
                    const channel = new Channel((data) => raw.send(data), () => raw.close());
                    raw.binaryType = "arraybuffer";
                    raw.onopen = () => channel.setOpened();
                    raw.onclose = () => channel.setClosed();
                    raw.onmessage = ({ data }) =>
                        channel.push(typeof data === "string" ? data : new Uint8Array(data));
                    return channel;
                };
                const incoming = new Incoming();
                window.pc = new RTCPeerConnection();
                window.pc.ondatachannel = ({ channel }) => incoming.add(channel.label, wrap(channel));
                window.peer = {
                    create: (label, ordered) => wrap(window.pc.createDataChannel(label, { ordered })),
                    incoming: (label) => incoming.get(label),
                };
                window.gathered = async () => {
                    while (window.pc.iceGatheringState !== "complete")
                        await new Promise((resolve) => setTimeout(resolve, 20));
                    return window.pc.localDescription.toJSON();
                };
            });
            return {
                offer: () =>
                    page.evaluate(async () => {
                        window.pc.createDataChannel("first"); // an offer needs a section
                        await window.pc.setLocalDescription(await window.pc.createOffer());
                        return window.gathered();
                    }),
                answer: (offer) =>
                    page.evaluate(async (description) => {
                        await window.pc.setRemoteDescription(description);
                        await window.pc.setLocalDescription(await window.pc.createAnswer());
                        return window.gathered();
                    }, offer),
                accept: (answer) =>
                    page.evaluate((description) => window.pc.setRemoteDescription(description), answer),
                exercise: () =>
                    page.evaluate(async () => {
                        await exercise(window.peer, async (what, run) => {
                            try {
                                await run();
                                await window.report(what, "");
                            } catch (error) {
                                await window.report(what, String(error.message ?? error));
                            }
                        });
                    }),
                close: () => page.evaluate(() => window.pc.close()),
            };
        },
        async close() {
            await browser.close();
            server.close();
        },
    };
}

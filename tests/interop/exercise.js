// What every foreign peer does to ww-echo. Runs in the browser's page and in node: no imports.
// `peer` is { create(label, ordered), incoming(label) }, channels are
// { opened, closed, send(data), receive(), close() } with promises.
// eslint-disable-next-line no-unused-vars
async function exercise(peer, check) {
    const within = (promise, what) =>
        Promise.race([
            promise,
            new Promise((_, reject) => setTimeout(() => reject(new Error(`${what}: timeout`)), 8000)),
        ]);
    const bytes = (size) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
    const same = (a, b) =>
        typeof a === "string" || typeof b === "string"
            ? a === b
            : a.length === b.length && a.every((byte, i) => byte === b[i]);
    const echo = async (channel, what, data) =>
        check(what, async () => {
            channel.send(data);
            const back = await within(channel.receive(), what);
            if (!same(back, data))
                throw new Error(`sent ${typeof data} ${data.length}, got ${typeof back} ${back.length}`);
        });

    for (const ordered of [true, false]) {
        const name = ordered ? "ordered" : "unordered";
        const channel = peer.create(name, ordered);
        await check(`${name}: opens`, () => within(channel.opened, "open"));
        await echo(channel, `${name}: text`, "hello, wörld ✓");
        await echo(channel, `${name}: binary`, bytes(1000));
        await echo(channel, `${name}: empty text`, "");
        await echo(channel, `${name}: empty binary`, new Uint8Array(0));
        await echo(channel, `${name}: 16 KiB`, bytes(16384));
        await echo(channel, `${name}: 65,537 B`, bytes(65537));
        await echo(channel, `${name}: 256 KiB binary`, bytes(262144));
        await echo(channel, `${name}: 256 KiB text`, "x".repeat(262144));
        await check(`${name}: 100 in a row`, async () => {
            for (let i = 0; i < 100; i++)
                channel.send(`message ${i}`);
            const seen = [];
            for (let i = 0; i < 100; i++)
                seen.push(await within(channel.receive(), `message ${i}`));
            const expected = seen.map((_, i) => `message ${i}`);
            if (!ordered) {
                seen.sort();
                expected.sort();
            }
            if (seen.join() !== expected.join())
                throw new Error("order or content");
        });
        await check(`${name}: closes`, async () => {
            channel.close();
            await within(channel.closed, "close");
        });
    }
    for (let round = 0; round < 3; round++) {
        const channel = peer.create(`again ${round}`, true);
        await check(`reuse ${round}: opens`, () => within(channel.opened, "open"));
        await echo(channel, `reuse ${round}: text`, `round ${round}`);
        await check(`reuse ${round}: closed by ww`, async () => {
            channel.send("close");
            await within(channel.closed, "close");
        });
    }
    const control = peer.create("control", true);
    await check("control opens", () => within(control.opened, "open"));
    for (let round = 0; round < 2; round++) {
        await check(`opened by ww ${round}`, async () => {
            control.send(`open:from-ww-${round}`);
            const channel = await within(peer.incoming(`from-ww-${round}`), "incoming");
            // Until its own thread has acknowledged the channel, Chromium drops what a page sends, and
            // says so nowhere, not even by its "open" event's time.
            if ((await within(channel.receive(), "greeting")) !== "opened")
                throw new Error("wrong greeting");
            channel.send("over there");
            if ((await within(channel.receive(), "echo")) !== "over there")
                throw new Error("wrong echo");
            channel.close();
            await within(channel.closed, "close");
        });
    }
}

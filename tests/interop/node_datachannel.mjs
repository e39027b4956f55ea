// node-datachannel (libdatachannel) as the peer.
import library from "node-datachannel";
import { readFileSync } from "node:fs";

const local = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const { Channel, Incoming, exercise } = new Function(
    `${local("channels.js")}${local("exercise.js")} return { Channel, Incoming, exercise };`)();

function wrap(raw) {
    const channel = new Channel(
        (data) => (typeof data === "string" ? raw.sendMessage(data) : raw.sendMessageBinary(Buffer.from(data))),
        () => raw.close());
    raw.onOpen(() => channel.setOpened());
    raw.onClosed(() => channel.setClosed());
    raw.onMessage((data) => channel.push(typeof data === "string" ? data : new Uint8Array(data)));
    if (raw.isOpen())
        channel.setOpened();
    return channel;
}

export async function open() {
    return {
        name: "node-datachannel",
        async connect(check) {
            const incoming = new Incoming();
            const pc = new library.PeerConnection("peer", {
                iceServers: [],
                bindAddress: "127.0.0.1",
                maxMessageSize: 262144,
                disableAutoNegotiation: true,
            });
            const gathered = new Promise((resolve) =>
                pc.onGatheringStateChange((state) => {
                    if (state === "complete")
                        resolve(pc.localDescription());
                }));
            const kept = [];
            pc.onDataChannel((raw) => {
                kept.push(raw);
                incoming.add(raw.getLabel(), wrap(raw));
            });
            const peer = {
                create(label, ordered) {
                    const raw = pc.createDataChannel(label, { unordered: !ordered });
                    kept.push(raw); // or it is collected, and closed
                    return wrap(raw);
                },
                incoming: (label) => incoming.get(label),
            };
            return {
                async offer() {
                    kept.push(pc.createDataChannel("first"));
                    pc.setLocalDescription("offer");
                    return gathered;
                },
                async answer(offer) {
                    pc.setRemoteDescription(offer.sdp, offer.type);
                    pc.setLocalDescription("answer");
                    return gathered;
                },
                async accept(answer) {
                    pc.setRemoteDescription(answer.sdp, answer.type);
                },
                exercise: () =>
                    exercise(peer, async (what, run) => {
                        try {
                            await run();
                            check.report(what, "");
                        } catch (error) {
                            check.report(what, String(error.message ?? error));
                        }
                    }),
                async close() {
                    pc.close();
                },
            };
        },
        async close() {
            library.cleanup();
        },
    };
}

// Queues and promises around a data channel; in the page and in node: no imports.
// eslint-disable-next-line no-unused-vars
class Channel {
    constructor(send, close) {
        this.send = send;
        this.close = close;
        this.messages = [];
        this.waiting = [];
        this.opened = new Promise((resolve) => (this.setOpened = resolve));
        this.closed = new Promise((resolve) => (this.setClosed = resolve));
    }
    push(message) {
        const waiting = this.waiting.shift();
        if (waiting)
            waiting(message);
        else
            this.messages.push(message);
    }
    receive() {
        if (this.messages.length)
            return Promise.resolve(this.messages.shift());
        return new Promise((resolve) => this.waiting.push(resolve));
    }
}
// eslint-disable-next-line no-unused-vars
class Incoming {
    constructor() {
        this.channels = new Map();
        this.waiting = new Map();
    }
    add(label, channel) {
        this.channels.set(label, channel);
        this.waiting.get(label)?.(channel);
    }
    get(label) {
        if (this.channels.has(label))
            return Promise.resolve(this.channels.get(label));
        return new Promise((resolve) => this.waiting.set(label, resolve));
    }
}

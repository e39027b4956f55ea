/* Every limit of the program in one place, each with its reason. */
#pragma once

/* One line each, however long. */
/* clang-format off */
/* --- base --- */
#define WW_BUFFER_ARENA_BYTES 16777216 /* on huge pages: rings and pools of ten busy connections; further ones have usual pages */
#define WW_LOG_FILE_BYTES_MAX (4 << 20) /* a log file, and as much of an older one: some 25,000 lines each, weeks of a quiet node */

/* --- loop and store --- */
#define WW_LOOP_POSTS_MAX 65536        /* calls waiting for the loop: far above what threads post in one turn */
#define WW_STREAM_READ_BYTES 245760      /* held per socket while its reader is paused: 15 messages, which fill 16 packets */
#define WW_STREAM_CHUNK_BYTES 65536    /* one block of a write queue: what a socket takes at once */
#define WW_STREAM_SPARE_CHUNKS 64      /* blocks kept for the next writer: 4 MiB a loop */
#define WW_LISTENER_BACKLOG 1024       /* connections the kernel holds: a second's worth of handshakes */
#define WW_LISTENER_ACCEPTS_MAX 64     /* accepted in one turn, so that open connections get theirs */
#define WW_COMMITTER_QUEUE_MAX 65536   /* batches waiting for the disk: 1 s at the fastest measured rate */
#define WW_COMMITTER_GROUP_BYTES (16 << 20) /* written with one sync: bounds the time of one write */
#define WW_STORE_BATCH_BYTES_MAX (64 << 20) /* one batch: far above any step, catches a runaway loop */

/* --- crypto --- */
#define WW_KEY_FILE_BYTES_MAX 16384           /* a PEM key with its comments: a P-256 one has 241 bytes */
#define WW_CERTIFICATE_FILE_BYTES_MAX 262144  /* a PEM chain with its comments */
#define WW_CERTIFICATE_CHAIN_MAX 16           /* certificates in one file; chains have 2 to 4 */
#define WW_CERTIFICATE_HOSTS_MAX 64           /* names of one arbiter */

/* --- ledger --- */
#define WW_LEDGER_ASSETS_MAX 8             /* assets of one ledger: books of each are checked together */
#define WW_LEDGER_RECORD_BYTES_MAX 4096    /* a contract's opaque record */
#define WW_LEDGER_KEY_BYTES_MAX 128        /* a fact's key */
#define WW_LEDGER_VALUE_BYTES_MAX 4096     /* a fact's value */
#define WW_LEDGER_CONTRACTS_MAX (1 << 20)  /* open at once: about 1 GiB of memory */
#define WW_LEDGER_ACCOUNTS_MAX (1 << 20)   /* network and asset pairs */
#define WW_LEDGER_FACTS_MAX (1 << 20)
#define WW_LEDGER_REQUESTS_MAX (1 << 20)   /* ids remembered: 1,100 a second over their 15 minutes */
#define WW_LEDGER_REQUEST_FRESH_MS 600000  /* protocol: an unknown id older than this is gone */
#define WW_LEDGER_REQUEST_KEPT_MS 900000   /* protocol: how long an id is remembered, in up-time */
#define WW_LEDGER_BATCH_BYTES_MAX (16 << 20) /* one batch; changes beyond it are refused */
#define WW_LEDGER_BATCH_BYTES_SOON (1 << 20) /* handed over without waiting for those before it */
#define WW_LEDGER_FLIGHTS_MAX 2            /* batches at the store thread: one is written, one is ready */
#define WW_LEDGER_COMMITS_MAX 65536        /* callers waiting for one batch */
#define WW_LEDGER_JOURNAL_RECORDS_MAX 1024 /* then the journal is folded into the snapshot … */
#define WW_LEDGER_JOURNAL_BYTES_MAX (16 << 20) /* … or at this size … */
#define WW_LEDGER_CHANGED_MAX 4096         /* … or with so many changed objects: folding holds the loop for milliseconds */
#define WW_LEDGER_FOLD_MS 600000           /* protocol: and at least every 10 minutes, as a new epoch */
#define WW_LEDGER_BACKUP_BYTES_MAX (2UL << 30) /* a backup: a million accounts and facts of 1 KiB */
#define WW_LEDGER_TURN_SLICE_US 2000       /* what a new epoch seals again at once: half of the loop's time */
#define WW_LEDGER_TURN_RETRY_US 100000     /* memory or the committer's queue was in its way */

/* --- wire --- */
#define WW_FRAME_BYTES_MAX 65536       /* one transfer frame or SCTP message */
#define WW_MESSAGE_BYTES_MAX 16384     /* payload of one transfer message: measured best below the mmap threshold */
#define WW_FRAME_DATAGRAM_BYTES_MAX 65507 /* payload of a DATAGRAM frame: one UDP datagram over IPv4 */
#define WW_ACK_RANGES_MAX 64           /* protocol: ranges in one acknowledgement */
#define WW_NAME_BYTES_MAX 255          /* a DNS name in text form, RFC 1035 */
#define WW_TOKEN_BYTES_MAX 512         /* an encoded contract token */
#define WW_EXPOSED_MAX 8               /* subnets that one contract may expose */
#define WW_RECEIPT_BYTES_MAX 160       /* an encoded receipt: 129 is the most that its fields take */
#define WW_DECLARATION_DESTS_MAX 14    /* destinations signed at once: 14 of the longest names … */
#define WW_DECLARATION_BYTES_MAX 4096  /* … fit into an encoded declaration of this size */
#define WW_CLOSE_BYTES_MAX 4608        /* an encoded close with the receipt and the declaration */
#define WW_REASON_BYTES_MAX 256        /* a sentence for people, in any message */

/* --- contract --- */
#define WW_CONTRACT_BYTES_MAX (4ULL << 30) /* protocol: default and largest contract */
#define WW_CONTRACT_PARTS_MAX 4            /* protocol: assets that back one contract */
#define WW_OPEN_BY_S 600                   /* protocol: a contract must be opened within 10 minutes */
#define WW_EXPIRES_S 86400                 /* protocol: a contract lives a day */
#define WW_OFFER_TIMEOUT_MS 5000           /* protocol: a provider answers an offer within 5 s */
#define WW_UNOPENED_GRACE_S 300            /* protocol: void 5 minutes after open-by if no OPEN was reported */
#define WW_EXPIRED_GRACE_S 120             /* after expiry, for both sides to report: the clocks may differ by this */
#define WW_RESTART_GRACE_S 120             /* protocol: after a restart, for nodes to come back and report */
#define WW_CONTRACT_TIME_S_MAX (1ULL << 40) /* no time is later: sums of times and waits stay far below 2^63 */
#define WW_CLOSE_SILENCE_S 60              /* protocol: one side silent after the other closed, or was banned */
#define WW_ALIVE_EVERY_S 60                /* protocol: a side says so often that a contract goes on … */
#define WW_ALIVE_SILENCE_S 600             /* … and without a sign of life for so long it ends */
#define WW_UPTIME_EVERY_S 60               /* protocol: the arbiter's up-time is stored every minute */
#define WW_DISPUTE_LATE_CLOSE_S 86400      /* protocol: a silent side may still close for a day */
#define WW_DISPUTE_UNDECIDED_S 2592000     /* protocol: after 30 days C settles as receipts prove */
#define WW_FORGIVEN_SHARE 100              /* protocol: a difference is forgiven up to 1 % … */
#define WW_FORGIVEN_DAY_SHARE 1000         /* … and up to 0.1 % of what was paid that day with other networks */
#define WW_NODE_CONTRACTS_MAX 64           /* open ones of one client: three a connection, and those that a crash left unopened */
#define WW_NETWORK_CONTRACTS_MAX 4096      /* open ones of one network as a client: free ones cost nothing but our memory */

#define WW_ARBITER_PROOFS_MAX 4096         /* closes and cases whose signatures wait for the pool: 40 MB at most, a second's work */

/* --- transfer --- */
#define WW_MESSAGE_SENT_BYTES 16296        /* head and payload of a full message: 14 SCTP fragments of 1,164 bytes, or
                                              one DTLS record; a byte more would cost a packet of its own */
#define WW_STREAMS_MAX 1024                /* streams on one connection, per peer */
#define WW_STREAM_WINDOW_BYTES (1 << 20)   /* credit of one stream: 1 MiB carries 160 Mbit/s at 50 ms */
#define WW_STREAM_WINDOW_DOUBLINGS 2       /* … where the line holds more than that: 4 MiB, as much as a lane has in flight */
#define WW_STREAM_WINDOW_LEAST_BYTES 65536 /* the same once a provider has promised … */
#define WW_CREDIT_BYTES_MAX (64 << 20)     /* … so much to the streams of one client: what they may make it hold */
#define WW_ALLOWANCE_MIN_BYTES (8 << 20)   /* protocol: the client keeps at least 8 MiB granted */
#define WW_CONTRACT_WINDOW_BYTES (8 << 20) /* protocol: default window cap */
#define WW_WINDOW_FIRST_BYTES 65536        /* protocol: a provider's window before anything is proven */
#define WW_LOSSY_BYTES (16 << 20)          /* protocol: of the last 16 MiB that a provider sent … */
#define WW_LOSSY_PERCENT 10                /* … so much may be lost, else it ends the contract */
#define WW_RECEIPT_INTERVAL_US 5000000     /* protocol: a receipt after 5 s; a client's also every half window */
#define WW_RECEIPT_RETRY_US 100000         /* after one could not be signed or verified: memory or threads are short */
#define WW_ACK_DELAY_US 10000              /* protocol: acknowledge after 10 ms … */
#define WW_ACK_MESSAGES 64                 /* … or 64 messages */

/* --- http --- */
#define WW_HTTP_HEAD_BYTES_MAX 8192        /* request line and headers */
#define WW_HTTP_HEADERS_MAX 64
#define WW_HTTP_BODY_BYTES_MAX 65536       /* the API has no larger request */
#define WW_HTTP_DEADLINE_MS 10000          /* a whole request, from its first byte */
#define WW_HTTP_IDLE_MS 60000              /* between requests of a kept connection */
#define WW_WS_MESSAGE_BYTES_MAX 65536      /* one WebSocket message */
#define WW_WS_QUEUE_BYTES_MAX (1 << 20)    /* unsent bytes of one WebSocket before it is closed */
#define WW_HTTP_CONNECTIONS_MAX 4096
#define WW_HTTP_OUTPUT_BYTES_MAX 524288    /* unsent bytes of one connection before no more are made */
#define WW_HTTP_INPUT_BYTES_MAX 262144     /* received bytes held while their reader waits */
#define WW_HTTP_PIECE_BYTES 65024          /* one read: fits libevent's 64 KiB pieces with their head */
#define WW_HTTP_LINGER_MS 1000             /* from our FIN to the close: else RST may eat the answer */
#define WW_HTTP_REPLY_HEAD_BYTES_MAX 32768 /* response heads: real sites send 10 KiB of policies */
#define WW_HTTP_REPLY_HEADERS_MAX 128
#define WW_HTTP_CALLS_MAX 64               /* calls waiting in one client */
#define WW_HTTP_CONNECT_MS 10000           /* name, TCP, proxy and TLS together */
#define WW_HTTP_ADDRESSES_MAX 8            /* addresses tried of one name */
#define WW_WS_PING_MS 20000                /* below the 30 s of the shortest NAT timeouts */
#define WW_WS_SILENCE_MS 60000             /* three pings unanswered */
#define WW_WS_CLOSE_MS 3000                /* from our close frame to the cut */

/* --- net --- */
#define WW_CANDIDATES_MAX 32               /* remote candidates that one peer may give */
#define WW_SIGNAL_BYTES_MAX 4096           /* one signalling payload */
#define WW_PEERS_MAX 4096
#define WW_CHANNELS_MAX 64                 /* SCTP streams of one association: 65,535 cost memory */
#define WW_CHANNEL_MESSAGE_BYTES_MAX 262144 /* what browsers announce and take */
#define WW_CHANNEL_LABEL_BYTES_MAX 127     /* a channel's label, and its protocol: as the DCEP codec has it */
#define WW_SCTP_SEND_BYTES (4 << 20)       /* one peer's send buffer: 4 MiB carries 640 Mbit/s at 50 ms */
#define WW_SCTP_RECEIVE_BYTES (4 << 20)    /* one peer's receive window */
#define WW_FAST_WINDOW_BYTES (4 << 20)     /* reliable bytes that a side of the fast lane holds in each direction: as SCTP's */
#define WW_FAST_UNSENT_BYTES 294912        /* … of those, what waits for its first time: what is read of a stream at once, a turn's work at 10 Gbit/s */
#define WW_FAST_ACK_BYTES_MAX 262144       /* an acknowledgement at the latest after these: a turn's work */
#define WW_FAST_MESSAGE_BYTES_MAX 32768    /* one message of it: twice a full one of transfer */
#define WW_FAST_DATAGRAM_BYTES_MAX 16384   /* one datagram, in parts if need be: ten times what Ethernet carries */
#define WW_FAST_RECORD_BYTES_MIN 512       /* plaintext of a record: no path of ours is narrower than 1,195 */
#define WW_FAST_RECORD_BYTES_MAX 16384     /* DTLS's largest */
#define WW_FAST_ACK_RANGES_MAX 64          /* in one acknowledgement: 300 packets at 30 % loss; fits any record */
#define WW_FAST_PACKETS_MAX 16384          /* on their way, or not yet known to be lost: four windows */
#define WW_FAST_RANGES_MAX 4096            /* gaps that either side remembers: a window's packets, every one lost */
#define WW_FAST_PARTS_MAX 32               /* parts of one datagram: 16 KiB at the smallest record */
#define WW_FAST_PARTS_TABLE 8              /* datagrams whose parts are missing; then the oldest is dropped */
#define WW_FAST_QUEUE_BYTES_MAX (4 << 20)  /* datagrams that came and were not yet taken: what the socket holds */
#define WW_PEER_CONNECT_MS 30000           /* from creation to a verified association */
#define WW_PEER_EARLY_DATAGRAMS_MAX 16     /* DTLS datagrams held until there is a path: two flights */
#define WW_PATH_GIVE_UP_MS 120000          /* a peer without a path: protocol, so long peers try for another */
#define WW_PATH_SILENCE_MS 5000            /* sent without any answer: consent takes twice as long, or stays */
#define WW_PATH_DOUBT_MS 2000              /* consent is gone, nothing is heard: so long for an answer to ten heartbeats */
#define WW_PATH_ATTEMPT_MS 15000           /* one try for another path: signals wait so long for the arbiter */
#define WW_PATH_RETRY_MS 1000              /* between the starts of two tries: gathering costs sockets */
#define WW_PATH_ASK_MS 3000                /* a server asks its client again: the signal may have been lost */
#define WW_PATH_LEAVE_MS 3000              /* the old path after a change: what is on its way still comes in */
#define WW_ADDRESS_QUIET_MS 500            /* after the last change of addresses or routes: a new lease is several */

/* --- packet --- */
#define WW_PROXY_CLIENTS_MAX 1024          /* connections to the local proxy */
#define WW_PROXY_HANDSHAKE_MS 10000        /* from accept to a complete request */
#define WW_PROXY_ANSWER_MS 45000           /* from a request to its answer: waiting for a provider, then its connecting, with room */
#define WW_EGRESS_CONNECT_MS 15000         /* to reach a destination by any address */
#define WW_EGRESS_ADDRESSES_MAX 16         /* addresses tried of one name */
#define WW_PROXY_EARLY_BYTES 65536         /* held per client before its request is answered */
#define WW_PROXY_LINGER_MS 2000            /* a refused client may read its answer before the reset */
#define WW_PACKET_LOW_MARK_BYTES 65536     /* a queue is refilled before it runs dry: 1 ms at 500 Mbit/s */
#define WW_EGRESS_STREAMS_MAX 8192         /* TCP sockets of one egress */
#define WW_EGRESS_ATTEMPT_MS 250           /* RFC 8305 section 5: Connection Attempt Delay */
#define WW_EGRESS_DRAIN_MS 120000          /* a destination that has ended may take so long to read what is queued */
#define WW_EGRESS_FLOWS_MAX 4096           /* UDP sockets of one egress */
#define WW_EGRESS_FLOW_IDLE_MS 120000      /* RFC 4787 REQ-5: a UDP mapping lives two minutes */
#define WW_EGRESS_FLOW_EARLY_BYTES 16384   /* sent while the name resolves */
#define WW_EGRESS_FLOW_TURN 64             /* datagrams read of one socket in a turn: others want theirs */
#define WW_DNS_UPSTREAMS_MAX 8             /* resolvers tried in turn */
#define WW_DNS_LOOKUPS_MAX 256             /* questions under way upstream: a browser's start has some 100 */
#define WW_DNS_ASKS_MAX 1024               /* that wait for them: 0.6 KiB each */
#define WW_DNS_TRY_MS 2000                 /* one upstream's time: a full round of satellites */
#define WW_DNS_TRIES_MAX 4                 /* of one question: all within the 8 s below … */
#define WW_DNS_DEADLINE_MS 8000            /* … as stub resolvers have given up by then (glibc: 5 s, twice) */
#define WW_DNS_CACHE_MAX 16384             /* answers kept … */
#define WW_DNS_CACHE_BYTES (8 << 20)       /* … and their bytes */
#define WW_DNS_KEPT_BYTES_MAX 16384        /* of one answer: larger ones are not kept */
#define WW_DNS_RECORDS_MAX 512              /* of one message: each name in it may be a chain of 32,767 pointers */
#define WW_DNS_CHAIN_MAX 16                /* names that one answer leads to: unbound follows 11 */
#define WW_DNS_TTL_S_MAX 86400             /* RFC 8767 section 4: a week at most; a day is enough for names that change */
#define WW_DNS_NEGATIVE_S_MAX 3600         /* RFC 2308 section 5: one to three hours */
#define WW_DNS_FAILED_S 5                  /* RFC 2308 section 7: a failure at most 5 minutes; long enough against storms */
#define WW_DNS_UPSTREAM_BYTES 1232         /* a datagram that is never fragmented (DNS flag day 2020) */
#define WW_DNS_REPLY_BYTES_MAX 4096        /* a datagram to an application on this host */
#define WW_DNS_NAMES_MAX 8192              /* addresses whose name is known: 0.2 KiB each */
#define WW_DNS_LISTS_MAX 32                /* block lists … */
#define WW_DNS_LIST_NAME_SIZE 32           /* … the name of one, with its NUL … */
#define WW_DNS_LISTED_MAX 2000000          /* … names of all: the largest public lists have a million */
#define WW_DNS_LIST_BYTES_MAX (64 << 20)   /* … and the bytes of one file */
#define WW_DNS_PRIVATE_MAX 64              /* names whose answers may point anywhere */
#define WW_DNS_CONNECTIONS_MAX 64          /* TCP connections of applications to one listener … */
#define WW_DNS_CONNECTION_MS 10000         /* … that say nothing for so long are closed (RFC 7766: seconds) */
#define WW_DNS_PIPELINE_MAX 16             /* questions of one connection that wait (RFC 7766 section 6.2.1.1) */
#define WW_DNS_TURN 64                     /* datagrams read in a turn: others want theirs */
#define WW_RESOLVER_LOOKUPS_MAX 1024       /* of one egress at once: 75 KB and mostly one socket each, as long as servers are silent */
#define WW_RESOLVER_SHARE 128              /* … of one client: 250 names a second (WW_NODE_OPENS_PER_S) at half a second each, and seven leave room for an eighth */
#define WW_RESOLVER_SOCKETS_MAX 64         /* a lookup opens: one for each server, and one for each address that is put in order: 0.6 ms */
#define WW_RESOLVER_BYTES_MAX 16384        /* … receives: 100 addresses of each family are 4.5 KB; what takes c-ares long to read is longer */
#define WW_ADDRESS_EXCEPTIONS_MAX 64       /* --allow-private and exposed subnets */
#define WW_ADDRESS_ECHO_BYTES_MAX 255      /* of a text that is no address, in a line of `ww address` */
#define WW_TUN_READS_TURN 64               /* of one TUN device in a turn of the loop, and … */
#define WW_TUN_BYTES_TURN 524288           /* … so many bytes: 4 ms at 1 Gbit/s, as others want their turn */
#define WW_TUN_IN_BYTES (512 << 10)        /* packets that a worker has read: half of it is 0.5 ms at 4 Gbit/s, and one more read has room */
#define WW_TUN_OUT_BYTES (2 << 20)         /* … and that one is to write: what a worker has opened for a turn (WW_WORKER_IN_BYTES) */
#define WW_TUNNEL_V4 "192.0.0.2"           /* a client's address in its tunnel (RFC 7335), always the same … */
#define WW_TUNNEL_V6 "fd77:7700:77::2"     /* … so that another provider needs no other one */
#define WW_TUNNEL_PEER_V4 "192.0.0.1"      /* the other end: names are asked for here */
#define WW_TUNNEL_PEER_V6 "fd77:7700:77::1"
#define WW_HOST_MARK 0x7777                /* SO_MARK of the client's own sockets: past the tunnel */
#define WW_HOST_MARK_BACK 0x7778           /* of what comes out of the tunnel, for the kernel's check of senders */
#define WW_HOST_TABLE 30583                /* 0x7777, too: the routing table with the way into the tunnel */
#define WW_HOST_RULES_FROM 20530           /* priority of the first rule: before wg-quick's, which are below 32766, after Tailscale's at 5210 */
#define WW_HOST_PROTOCOL 119               /* 'w': who made a route or rule, as `ip rule show` tells; unassigned in rt_protos */
#define WW_HOST_PREFIXES_MAX 64            /* of each list of split tunnelling: what a list of the configuration holds */
#define WW_HOST_USERS_MAX 64
#define WW_HOST_EXCLUDED_MAX 4096          /* addresses that policies exclude from the tunnel: 0.4 KiB each */
#define WW_HOST_EXCLUDED_SET_SIZE 16384    /* what the kernel's sets hold: those of clients that were killed, too, until they time out */
#define WW_HOST_EXCLUDED_S 60              /* beyond an answer's own time: browsers use a name's address for a minute */
#define WW_HOST_EXCLUDE_BATCH 128          /* addresses given to nft(8) at once: a browser's start has some 100 names */
#define WW_HOST_EXCLUDE_MS 5000            /* one run of nft(8); 5 to 30 ms as a rule */
#define WW_DNS_EXCLUDED_MAX 64             /* addresses of one answer; a datagram of 1,232 bytes has 70 */
#define WW_HOST_FILTER_BYTES_MAX 32768     /* the kill switch as text: four full lists take 12 KiB */
#define WW_IP_FRAGMENTS_MAX 256            /* datagrams of one client whose fragments are passing */
#define WW_IP_FRAGMENT_MS 15000            /* for all fragments of one, as reassembly has it elsewhere */
#define WW_IP_FRAGMENT_DISTANCE 63         /* of a client's others between two of one datagram: net.ipv4.ipfrag_max_dist is 64 */
#define WW_IP_UNFINISHED_BYTES (512 << 10)  /* of one client's datagrams that don't end, as a bucket that leaks; Linux reassembles in 4 MiB, all in all */
#define WW_IP_UNFINISHED_MS 60000           /* … after which all of it is free again: as long as Linux waits for the rest, at most */
#define WW_IP_FRAGMENT_COST 1024            /* of a fragment besides its bytes: Linux 6.18 counts 1,032 for 16 bytes, 2,504 for 1,480 */
#define WW_EXIT_POOL_V4 "10.119.0.0/16"    /* clients' addresses behind a provider that translates, seen by nobody else … */
#define WW_EXIT_POOL_V6 "fd77:7700:119::/64" /* … and the gateway's, .0.1 and ::1 */
#define WW_WORKERS_MAX 16                   /* packet workers: main can feed fewer */
#define WW_WORKER_OUT_BYTES (1 << 20)       /* records on their way to a worker: 2 ms at 4 Gbit/s; half of it is room to finish a turn */
#define WW_WORKER_IN_BYTES (2 << 20)        /* … and from one: half of it is what one turn of a lane receives */
#define WW_NET_HIDDEN_MAX 8                 /* networks of devices that nodes make: two of a tunnel with two addresses each, two of an exit */
#define WW_EXIT_CLIENTS_MAX 1024           /* that one provider lets packets out for: each has an address of the pool */
#define WW_EXIT_PACKET_BYTES_MAX 2032      /* one packet that waits: above any MTU of a tunnel */
#define WW_EXIT_CELLS 8192                 /* packets that wait in one direction: 16 MiB, touched only when used */
#define WW_EXIT_QUEUE_PACKETS 2048         /* … of one client: 20 ms at 1 Gbit/s … */
#define WW_EXIT_QUEUE_PACKETS_MIN 256      /* … and so many however long they wait: 0.3 s at 10 Mbit/s */
#define WW_EXIT_TCP_CLIENT_BYTES 67108864  /* egress in user space: held of one client's connections: 64 at full speed share it … */
#define WW_EXIT_TCP_TOTAL_BYTES 536870912  /* … and of all clients' … */
#define WW_EXIT_TCP_LEAST_BYTES 8192       /* … but each may hold so much in each of four places, whatever the others do */
#define WW_EXIT_ECHOES_MAX 1024            /* sockets for echo, of all clients: ten machines that each watch a hundred others */
#define WW_EXIT_FLOWS_MAX 262144           /* of all clients: 128 full ones; 40 MiB, touched only when used */
#define WW_EXIT_EVICT_IDLE_MS 30000        /* a full client's flow gives way to a new one after so long */
#define WW_EXIT_TCP_IDLE_MS 7440000        /* RFC 5382 REQ-5: an idle connection lives 2 hours and 4 minutes */
#define WW_EXIT_OVER_MS 30000              /* … and after both ends or a reset so long: what is late still finds it */
#define WW_ADDRESS_LOCAL_MAX 4096          /* addresses, on-link prefixes and gateways of this host */
#define WW_FLOWS_MAX 65536                 /* flows of one table; 0.3 KiB each, taken as they come */
#define WW_FLOWS_TURN 256                  /* flows closed in one call for being idle: some 50 µs */
#define WW_FLOWS_FRAGMENTS 512             /* datagrams of one table whose later fragments are on their way */
#define WW_FLOW_BURST_BYTES 65536          /* a rate lets so much pass at once: TCP's first windows, one super-packet */
#define WW_FLOW_REJECTS_PER_S 256          /* answers to denied packets of one table: RFC 4443 section 2.4 (f) asks for a limit */
#define WW_FLOW_REJECT_BYTES 576           /* the largest of them: RFC 1812 section 4.3.2.3 */
#define WW_INSPECTIONS_MAX 512             /* flows whose first packets are looked at at once; 10 KiB each and what nDPI keeps */
#define WW_INSPECTIONS_TABLE 128           /* … of one client's: a browser's many at once, and 30 ms in which a busy machine's process doesn't run */
#define WW_INSPECT_PACKETS 8               /* with payload, of a flow: a greeting, a hello in three segments, the answer */
#define WW_INSPECT_ASKED_MAX 384           /* packets that the inspecting process has not answered: 3 ms of its work */
#define WW_INSPECT_ASKED_TABLE 96          /* … of one client's flows: fewer than are looked at, so that those asked about stay */
#define WW_INSPECT_SOCKET_BYTES 2097152    /* to it: all of those, whole, as the kernel counts them */
#define WW_INSPECT_PACKET_BYTES 2048       /* that it is shown of a packet, which is at most the device's MTU; more of a super-packet tells nothing */
#define WW_INSPECT_APPLICATIONS 512        /* that it knows by name: nDPI 4.2 has 333 */
#define WW_INSPECT_MEMORY_BYTES 67108864   /* that it may take for flows; 512 take 350 KiB and what hangs on them */
#define WW_INSPECT_CPU_MS 1000             /* of its processor time for one packet, which takes 10 us */
#define WW_INSPECT_ANSWER_MS 10000         /* it is stuck, or a machine is that loaded */
#define WW_INSPECT_AGAIN_MS 1000           /* before it is started again the first time; then twice as long */
#define WW_INSPECT_AGAIN_MAX_MS 60000      /* … at most, and what it must live to be trusted again */
#define WW_INSPECT_BYTES 8192              /* that a client has sent: hellos with post-quantum keys and tickets take 3 KiB */
#define WW_GEO_FILES_MAX 4                 /* countries, networks, and of each a second one for IPv6 */
#define WW_FLOW_CLOSING_S 10               /* idle so long a flow is gone; answers to the last FIN still belong to it */
#define WW_FLOW_ICMP_S 60                  /* RFC 5508 REQ-1 */
#define WW_FLOW_UDP_S 120                  /* RFC 4787 REQ-5: not below two minutes … */
#define WW_FLOW_UDP_BOTH_S 300             /* … and five by default */
#define WW_FLOW_OPENING_S 240              /* RFC 5382 REQ-5: four minutes … */
#define WW_FLOW_ESTABLISHED_S 7440         /* … and two hours and four minutes */

/* --- policy --- */
#define WW_POLICY_MEMORY_BYTES (4 << 20)     /* one VM; a ranking of 256 providers takes 0.3 MiB */
#define WW_POLICY_BLOCK_BYTES_MAX 126976     /* one allocation: below LuaJIT's mmap threshold, as fresh pages are slow */
#define WW_POLICY_CHURN_BYTES_MAX (16 << 20) /* allocated by one call in all, which is mostly copying */
#define WW_POLICY_FILE_BYTES_MAX 32768     /* compiling can't be interrupted: 35 ms at worst; readable in a minute is 4 KiB */
#define WW_POLICY_FILES_MAX 32             /* files of one set, tests included */
#define WW_POLICY_SET_BYTES_MAX 131072     /* all of them, tests included */
#define WW_POLICY_BUILTINS_MAX 16          /* built-in files that a set starts from: each costs a compilation, of 0.03 ms */
#define WW_POLICY_HOOK_INTERVAL 64         /* instructions between two looks at the budget */
#define WW_POLICY_CPU_MS_MAX 12            /* one call, twice: see meter.c; the budget ends an honest loop long before */
#define WW_POLICY_LOAD_CPU_MS_MAX 5        /* likewise, running the chunks of a set */
#define WW_POLICY_EXACT_SLOWER 4           /* both of these times so much, where each instruction is counted */
#define WW_POLICY_MAKE_CPU_MS_MAX 12       /* making a VM, compiling included: a call may have to, and then take 24 ms itself */
#define WW_POLICY_TEST_CPU_MS_MAX 100        /* one test or input that a person gives, twice; nobody waits for it as for a call, and a host that lends its core elsewhere counts that, too */
#define WW_POLICY_TESTS_CPU_MS_MAX 1000    /* all tests of a set: at a start, or on a thread of their own, which a stop waits for */
#define WW_POLICY_LOAD_BUDGET 1000000      /* instructions to load a set, and to run one test */
#define WW_POLICY_TESTS_MAX 1024           /* tests of one set */
#define WW_POLICY_FAULTS_MAX 64            /* that one check names; more help nobody */
#define WW_POLICY_IMPURE_EVERY 1000        /* one decision in so many is repeated in a fresh VM */
#define WW_POLICY_THRESHOLDS_MAX 64        /* configured numbers that policies see */
#define WW_POLICY_THRESHOLD_NAME_SIZE 64   /* the name of one, with its NUL */
#define WW_POLICY_THRESHOLD_TABLES_MAX 64 /* of one run, by hand: the journal points to those that decisions saw, 6 KiB each */
#define WW_POLICY_MEMORY_MAX 32            /* values that a hook's memory holds: as one fact of a ledger, 3.5 KiB */
#define WW_POLICY_MEMORY_S_MAX 2764800     /* 32 days: what is counted by the month; longer is history, which nobody keeps */
#define WW_POLICY_PATTERN_BYTES_MAX 64     /* patterns run in C where no hook fires */
#define WW_POLICY_SUBJECT_BYTES_MAX 4096
#define WW_POLICY_PATTERN_STEPS_MAX 200000 /* of one match, whatever the budget: below 2 ms */
#define WW_POLICY_NESTED_MAX 16            /* gsub in a gsub's function: LuaJIT guards no C stack, 9 KiB each */
#define WW_POLICY_STRING_BYTES_MAX 65536   /* made by one call of string.rep, format, gsub, table.concat */
#define WW_POLICY_PAIRS_MAX 2048           /* keys that pairs() sorts in C */
#define WW_POLICY_KEY_BYTES_MAX 256        /* a key that it sorts */

#define WW_POLICY_USES_MAX 128             /* rules of one set that are counted: a set that is read in minutes has half as many */
#define WW_POLICY_USES_LONG 1000           /* a hook's rules are noted for each decision, unless it takes more instructions: then to know the line takes as long again … */
#define WW_POLICY_USES_FIRST 64            /* … and is done for the first so many of a set … */
#define WW_POLICY_USES_EVERY 64            /* … and later for one in so many */
#define WW_POLICY_COVER_MS_MAX 3000        /* of CPU time for inputs that get to rules: by hand, and for a person who waits */
#define WW_POLICY_GENERATIONS_MAX 8        /* kept on a node to go back to: 1 MiB of texts at most */
#define WW_POLICY_GIVEN_UP_MAX 32          /* generations that are known to be bad, after they are not kept any more or over a restart */
#define WW_POLICY_JOURNAL_MIB_MAX 1024     /* four million decisions */
#define WW_POLICY_JOURNAL_HOURS_MAX 168    /* a week: longer is history, which nobody keeps */
#define WW_POLICY_RELOAD_DECISIONS_MAX 20000 /* asked again at a reload: 0.1 s of a fast set, on another thread */
#define WW_POLICY_RELOAD_MS_MAX 5000       /* … and for so long, as whoever asked waits 30 s, tests and all */
#define WW_POLICY_REPLAY_MS_MAX 20000      /* one replay: four million decisions; a reload behind it still ends within 30 s */
#define WW_POLICY_SHADOW_MS_MAX 1000       /* one round of a shadow, of which there is one a second: half of the thread's time */
#define WW_POLICY_WHY_MS_MAX 1000          /* of CPU time for trying inputs: a ranking takes 1.4 ms each time */
#define WW_POLICY_CHUNK_BYTES 65536        /* the journal is allocated in pieces of so much: the largest record takes 56 KiB */
#define WW_POLICY_GIVE_UP_FAULTS 16        /* of the last 64 decisions: then the generation before comes back */

/* --- ops --- */
#define WW_CONTROL_LINE_BYTES_MAX 65536    /* one request on the control socket */
#define WW_CONTROL_SESSIONS_MAX 32
#define WW_CONTROL_TURN_LINES_MAX 8        /* requests of a session at once, twice in a turn of the loop at most */
#define WW_CONTROL_LINGER_MS 1000          /* a refused session may read why before it is closed */
#define WW_CONTROL_QUEUE_BYTES_MAX (4 << 20) /* unsent bytes of one session; a full status is far smaller */

#define WW_TRACE_TEXT_BYTES_MAX 32768       /* input or result of a traced decision, as Lua; a long one is cut */

/* --- line --- */
#define WW_LINE_PROMPT_BYTES_MAX 128       /* with its colours */
#define WW_LINE_INPUT_BYTES_MAX 32768      /* typed and pasted for one input: half of a request to the node */
#define WW_LINE_PENDING_BYTES_MAX 4096     /* keys that wait; the rest stays with the terminal */
#define WW_LINE_HISTORY_MAX 1000           /* inputs that the arrow keys go through */

/* --- transfer, continued --- */
#define WW_DATAGRAM_BYTES_MAX 1472         /* a UDP payload in the datagram class: what Ethernet carries (1,500 less IPv4 and UDP); two SCTP fragments */
#define WW_PACKET_BYTES_MAX 1500           /* an IP packet in the tunnel: what Ethernet carries */
#define WW_SUPER_SEGMENT_MIN 512           /* payload of each packet in it: heads, which nobody pays, stay below a tenth of what leaves */
#define WW_PACKET_SUPER_BYTES_MAX 16352    /* a super-packet in the tunnel: a record of 16 KiB, less what is around it */
#define WW_UNCONFIRMED_BYTES 65536         /* protocol: served before the arbiter confirmed the opening */
#define WW_SENT_RECORDS_MAX 16384          /* messages awaiting acknowledgement per direction: 256 KiB of records, 256 MiB in flight */
#define WW_DRAIN_MIN_US 200000             /* protocol: datagrams unseen max(2 RTT, 200 ms) after END are lost */
#define WW_END_TIMEOUT_US 120000000        /* an END, or the OPEN that all waits for, unanswered so long ends the connection: as long as a change of path may take */
#define WW_WRITE_QUANTUM_BYTES 65536       /* one stream's turn while others wait */
#define WW_CLIENT_RESERVE_BYTES 65536      /* never granted away, so that a client of downloads can still ask (or a 16th of the contract) */
#define WW_PING_INTERVAL_US 1000000        /* one round-trip sample a second while there is traffic */

/* --- node --- */
#define WW_PIPE_QUEUE_BYTES 262144         /* waiting for a slow application or destination before credit is held back */
#define WW_NODE_WAITING_MAX 256            /* proxy requests that wait for a provider */
#define WW_NODE_WAITING_MS 15000           /* … and how long */
#define WW_NODE_VERDICTS_MAX 4096           /* destinations of which a node remembers what the flow policy said; 0.7 KiB each */
#define WW_FLOW_BLOCKS_MAX 1024            /* hosts, addresses and applications that the user has blocked: looked through for each new flow, in some 10 us */
#define WW_NODE_TABLE_FLOWS 16384          /* packet flows of a client, and of each client of a provider */
#define WW_FOOTPRINT_KEYS 256              /* hosts of an hour or a day that are told apart, and so on; the smallest go into one */
#define WW_FOOTPRINT_HOURS 48              /* kept by the hour … */
#define WW_FOOTPRINT_DAYS 400              /* … and by the day: a year, and the month to compare it with; 20 KiB each at most */
#define WW_NODE_OPENS_PER_S 256             /* streams that a client may open at a provider: opening is not paid for … */
#define WW_NODE_OPENS_BURST 1024           /* … and at once: as many as may be open */
#define WW_NODE_FLOWS_MAX 256              /* UDP destinations of one association */
#define WW_TUNNEL_MTU 1400                 /* of a client's device by default: fits one record where the path takes 1,500 */
#define WW_TUNNEL_MTU_LEAST 1280           /* of IPv6, RFC 8200 section 5 */
#define WW_NODE_PACKETS_MAX 256            /* that wait for one connection's contract, window or lane: 384 KiB, 30 ms at 100 Mbit/s */
#define WW_NODE_JUNK_BYTES 1048576         /* packets of no flow that a client takes from a provider, besides half of what is good: what is on its way when a flow ends or goes elsewhere */
#define WW_NODE_ROUTES_CLIENT 4096         /* sets of four flows that a client's tunnel remembers: a machine's browsers and a few servers … */
#define WW_NODE_ROUTES_PROVIDER 1024       /* … and so many of each client at a provider: 256 KiB */
#define WW_NODE_ROUTES_CAME 64             /* sets of four datagrams that come to a client in fragments: of more at once, some lose their end */
#define WW_DECLARED_MAX 1024                /* destinations that count as declared on a connection: as many as may be open */
#define WW_NODE_UNDECLARED_MOST_US 60000000 /* … and so long while the reliable lane is silent: a path is lost and found in half of it */
#define WW_NODE_UNDECLARED_US 5000000       /* a flow is served undeclared so long: batches take 10 ms and half a round trip */
#define WW_NODE_UNDECLARED_LEAST_US 1000000 /* … and so long when a client has used that up: what an honest one needs on most lines */
#define WW_NODE_DEBTORS_MAX 256             /* clients that left debts behind, whom a provider remembers: 12 KiB; each costs a contract */
#define WW_NODE_DEBTOR_US 3600000000        /* … and for how long after their last connection */
#define WW_NODE_DENIED_FLOWS 1              /* protocol: by default, signed destinations of the fixed list until the contract is closed */
#define WW_NODE_DECLARATION_SAMPLE 16       /* one declaration in so many is verified: who signs wrongly is found in a second */
#define WW_NODE_SECRETS_MAX 16              /* session secrets of a provider: the present one, and those of contracts that still run */
#define WW_NODE_SAVE_MS 1000                /* counts and receipts of open contracts are stored so often: what a crash may cost */
#define WW_NODE_POOL_THREADS 2              /* for signatures: one costs some 0.1 ms with its check, and there is one each 4 MiB */
#define WW_NODE_POOL_JOBS_MAX 32768         /* a signature and a check for each contract of each of 4,096 peers */
#define WW_NODE_HISTORY_MAX 256            /* finished contracts that a node remembers for its own status */

ww_unit_test(net_codec SOURCES net_codec_test.c ROOMS net)
ww_unit_test(net_peer SOURCES net_peer_test.c net_pair.c ROOMS net TIMEOUT 120)
ww_unit_test(net_channel SOURCES net_channel_test.c net_pair.c ROOMS net TIMEOUT 120)
ww_unit_test(net_loss SOURCES net_loss_test.c net_pair.c ROOMS net TIMEOUT 180)

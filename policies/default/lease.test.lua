test("a score of a half earns half of the unused lease", function()
    local got = try("lease.settle", { score_ppm = 500000 })
    same(got.decision, "pay")
    same(got.share_ppm, 500000)
end)

test("a perfect provider earns all of it", function()
    same(try("lease.settle", { score_ppm = 1000000 }).share_ppm, 1000000)
end)

test("refusing the lessee costs as much again", function()
    same(try("lease.settle", { score_ppm = 500000, offers = 10, accepted = 5 }).share_ppm, 250000)
    same(try("lease.settle", { offers = 10, accepted = 0 }).share_ppm, 0)
end)

test("a lessee that asked for nothing costs the provider nothing", function()
    same(try("lease.settle", { score_ppm = 1000000, offers = 0, accepted = 0 }).share_ppm, 1000000)
end)

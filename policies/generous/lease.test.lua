test("half for being there, half by score", function()
    same(try("lease.settle", { score_ppm = 0 }).share_ppm, 500000)
    same(try("lease.settle", { score_ppm = 1000000 }).share_ppm, 1000000)
end)

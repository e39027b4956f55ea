local function share(input)
    return try("lease.settle", input).share_ppm
end

test("the bonus grows by the month, and ends at a fifth", function()
    same(share({ months = 1 }), 500000)
    same(share({ months = 2 }), 510000)
    same(share({ months = 11 }), 600000)
    same(share({ months = 120 }), 600000)
end)

test("nobody gets more than there is", function()
    same(share({ months = 11, score_ppm = 1000000 }), 1000000)
end)

test("a strike costs the bonus", function()
    same(share({ months = 11, strikes = 1 }), 500000)
end)

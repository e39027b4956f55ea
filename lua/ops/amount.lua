--- Amounts of money as decimal texts of base units. No floats: digits are moved, never computed.
local M = {}

--- How many decimal places of the usual unit one base unit is (1 usd = 10^9 nano-dollars).
M.DECIMALS = { usd = 9, xch = 12, sol = 9 }

local DIGITS_MAX = 39 -- 2^128

--- Whether a text is a whole number of base units.
---@param text any
---@return boolean
function M.is_units(text)
    return type(text) == "string" and #text <= DIGITS_MAX
        and (text == "0" or text:find("^[1-9]%d*$") ~= nil)
end

local function from_decimal(whole, fraction, decimals)
    if #fraction > decimals then
        return nil, "at most " .. decimals .. " decimal places"
    end
    local digits = (whole .. fraction .. ("0"):rep(decimals - #fraction)):gsub("^0+", "")
    if digits == "" then
        digits = "0"
    end
    if #digits > DIGITS_MAX then
        return nil, "the amount is too large"
    end
    return digits
end

--- Reads what a person writes: "1500" is base units, "10.50usd" and "10.50 usd" are dollars.
---@param text string
---@param asset string what it must be of
---@return string|nil units
---@return string? why
function M.parse(text, asset)
    text = text:match("^%s*(.-)%s*$")
    if M.is_units(text) then
        return text
    end
    local whole, fraction, unit = text:match("^(%d+)%.(%d+)%s*(%a%w*)$")
    if not whole then
        whole, unit = text:match("^(%d+)%s*(%a%w*)$")
        fraction = ""
    end
    if not whole then
        return nil, "an amount is base units such as 1500, or a number with its unit such as 10.50"
            .. asset
    end
    if unit ~= asset then
        return nil, "the amount is in " .. unit .. ", the asset is " .. asset
    end
    if not M.DECIMALS[asset] then
        return nil, "the decimal places of " .. asset .. " are not known: give base units"
    end
    return from_decimal(whole, fraction, M.DECIMALS[asset])
end

--- The number alone, for a column that names the asset: "10.50"; an asset of unknown places stays
--- in base units.
---@param units string
---@param asset string
---@return string
function M.digits(units, asset)
    local decimals = M.DECIMALS[asset]
    if not decimals or not M.is_units(units) then
        return units
    end
    local digits = ("0"):rep(decimals + 1 - #units) .. units
    local whole, fraction = digits:sub(1, -decimals - 1), digits:sub(-decimals):gsub("0+$", "")
    if asset == "usd" then
        fraction = fraction .. ("0"):rep(2 - #fraction)
    end
    return whole .. (fraction ~= "" and "." .. fraction or "")
end

--- Base units as a person reads them: "10.5 usd".
---@param units string
---@param asset string
---@return string
function M.format(units, asset)
    local is_known = M.DECIMALS[asset] and M.is_units(units)
    return M.digits(units, asset) .. " " .. asset .. (is_known and "" or " base units")
end

--- Sum of two whole numbers in base units.
---@param left string
---@param right string
---@return string
function M.add(left, right)
    local digits, carry = {}, 0
    for place = 1, math.max(#left, #right) do
        local sum = carry + (tonumber(left:sub(-place, -place)) or 0)
            + (tonumber(right:sub(-place, -place)) or 0)
        digits[place] = sum % 10
        carry = sum >= 10 and 1 or 0
    end
    if carry == 1 then
        digits[#digits + 1] = 1
    end
    return (table.concat(digits):reverse())
end

return M

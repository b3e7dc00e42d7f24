-- Takes from all counters or from none. KEYS: the counter of each take. ARGV: the moment and the slack of expiry, then for each
-- take: number of the window that the moment falls into, milliseconds until it ends, its length, limit, cost.
-- Answers 1 or 0, then for each take: number of the window, tokens of it, tokens of the one before that still count.
-- All numbers are whole and below 2^53, so that doubles are exact.

-- floor(tokens * left / duration), by long division in base 256 where the product would not be exact.
local function share(tokens, left, duration)
    if tokens * left < 2 ^ 52 then
        return math.floor(tokens * left / duration)
    end
    local quotient, rest = 0, 0
    for digit = 6, 0, -1 do
        local base = 256 ^ digit
        local sum = rest * 256 + math.floor(tokens / base) % 256 * left
        local whole = math.floor(sum / duration)
        quotient, rest = quotient * 256 + whole, sum - whole * duration
    end
    return quotient
end

local now, slack = tonumber(ARGV[1]), tonumber(ARGV[2])
local windows, reply = {}, {1}
for take, key in ipairs(KEYS) do
    local at = take * 5 - 3
    local sequence, left, duration = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    local limit, cost = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
    local window = windows[key]
    if not window then
        local stored = redis.call('GET', key)
        if stored then
            local was, current, previous = string.match(stored, '^(%d+) (%d+) (%d+)$')
            window = {sequence = tonumber(was), current = tonumber(current), previous = tonumber(previous)}
        else
            window = {sequence = 0, current = 0, previous = 0}
        end
        windows[key] = window
    end
    if sequence < window.sequence then
        -- This node's clock lags behind another's: it is at the beginning of the window that the other has written.
        left = duration
    elseif sequence > window.sequence then
        window.previous = sequence == window.sequence + 1 and window.current or 0
        window.current, window.sequence = 0, sequence
    end
    local weighed = share(window.previous, left, duration)
    reply[#reply + 1] = window.sequence
    reply[#reply + 1] = window.current
    reply[#reply + 1] = weighed
    if limit > 0 and cost <= limit and window.current + weighed <= limit - cost then
        if cost > 0 then
            window.current, window.duration = window.current + cost, duration
        end
    else
        reply[1] = 0
    end
end
if reply[1] == 1 then
    for key, window in pairs(windows) do
        if window.duration then
            local value = string.format('%.0f %.0f %.0f', window.sequence, window.current, window.previous)
            local expiry = math.max((window.sequence + 2) * window.duration - now, 0) + slack
            redis.call('SET', key, value, 'PX', string.format('%.0f', expiry))
        end
    end
end
return reply

-- Gives back what was taken. KEYS: the counter of each take. ARGV: for each take the number of the window that it took from by
-- its clock, and its cost. The same as `Window::given_back`.
for take, key in ipairs(KEYS) do
    local sequence, cost = tonumber(ARGV[take * 2 - 1]), tonumber(ARGV[take * 2])
    local stored = redis.call('GET', key)
    if stored then
        local was, current, previous = string.match(stored, '^(%d+) (%d+) (%d+)$')
        local ahead = tonumber(was) - sequence
        if ahead == 0 then
            current = math.max(current - cost, 0)
        elseif ahead == 1 then
            previous = math.max(previous - cost, 0)
        end
        redis.call('SET', key, string.format('%.0f %.0f %.0f', was, current, previous), 'KEEPTTL')
    end
end
return {}

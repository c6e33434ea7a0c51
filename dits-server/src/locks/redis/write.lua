-- ARGV: the instance and the version that it must have, the channel, how many keys are removed, these keys, then each other
-- key and its value. Gives the new version, or nothing if it was in another state.

-- Does something with a list, many at a time: to call a command costs more than what it does, and Lua gives a function some
-- thousands of values at most.
local AT_ONCE = 1000
local function in_parts(list, act)
    for begin = 1, #list, AT_ONCE do
        act(unpack(list, begin, math.min(begin + AT_ONCE - 1, #list)))
    end
end

local life = life_of_server()
if not life then
    return NO_MASTER
end
local nonce, version, format = state()
if nonce and format ~= '1' then
    return OTHER_FORMAT
end
if not nonce or life .. '-' .. nonce ~= ARGV[1] or version ~= ARGV[2] then
    return false
end
if #ARGV == 4 then
    return version
end
-- What may be refused comes before the first change, as nothing is undone. Nobody hears of it before the end.
redis.call('ZCARD', KEYS[3])
redis.call('PUBLISH', ARGV[3], '')
local now = redis.call('HINCRBY', KEYS[1], 'version', 1)
-- A number would be turned into text for each key.
local now_text = string.format('%d', now)
local gone, kept, changed = {}, {}, {}
local function note(key)
    changed[#changed + 1] = now_text
    changed[#changed + 1] = key
end
local first_kept = 5 + tonumber(ARGV[4])
for i = 5, first_kept - 1 do
    gone[#gone + 1] = ARGV[i]
    note(ARGV[i])
end
for i = first_kept, #ARGV, 2 do
    kept[#kept + 1] = ARGV[i]
    kept[#kept + 1] = ARGV[i + 1]
    note(ARGV[i])
end
in_parts(gone, function(...) redis.call('HDEL', KEYS[2], ...) end)
in_parts(kept, function(...) redis.call('HSET', KEYS[2], ...) end)
in_parts(changed, function(...) redis.call('ZADD', KEYS[3], ...) end)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - REMEMBERED)
redis.call('HSET', KEYS[1], 'records', redis.call('HLEN', KEYS[2]))
return now

-- ARGV: the instance and the version that it must have, the channel, then each key and `=` with its value, or nothing if
-- it is removed. Gives the new version, or nothing if it was in another state.
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
if #ARGV == 3 then
    return version
end
-- What may be refused comes before the first change, as nothing is undone. Nobody hears of it before the end.
redis.call('ZCARD', KEYS[3])
redis.call('PUBLISH', ARGV[3], '')
local now = redis.call('HINCRBY', KEYS[1], 'version', 1)
for i = 4, #ARGV, 2 do
    local key, value = ARGV[i], ARGV[i + 1]
    if value == '' then
        redis.call('HDEL', KEYS[2], key)
    else
        redis.call('HSET', KEYS[2], key, string.sub(value, 2))
    end
    redis.call('ZADD', KEYS[3], now, key)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - REMEMBERED)
redis.call('HSET', KEYS[1], 'records', redis.call('HLEN', KEYS[2]))
return now

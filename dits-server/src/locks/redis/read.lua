-- ARGV: the instance and the version that are known, and a nonce in case that a table begins.
-- Gives the instance, the version, 1 if everything follows, and keys and values, `false` for what is not there any more.
local life = life_of_server()
if not life then
    return NO_MASTER
end
local nonce, version, format = state()
if not nonce then
    redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
    redis.call('HSET', KEYS[1], 'format', 1, 'nonce', ARGV[3], 'version', 0, 'records', 0)
    return { life .. '-' .. ARGV[3], '0', 1, {} }
end
if format ~= '1' then
    return OTHER_FORMAT
end
local instance = life .. '-' .. nonce
if instance ~= ARGV[1] then
    return { instance, version, 1, redis.call('HGETALL', KEYS[2]) }
end
if version == ARGV[2] then
    return { instance, version, 0, {} }
end
local behind = tonumber(version) - tonumber(ARGV[2])
-- Every version has changed something: the newest is missing only if the changes were evicted.
local newest = redis.call('ZRANGEBYSCORE', KEYS[3], version, version, 'LIMIT', 0, 1)
if behind < 0 or behind > REMEMBERED or #newest == 0 then
    return { instance, version, 1, redis.call('HGETALL', KEYS[2]) }
end
local found = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[2], '+inf')) do
    found[#found + 1] = key
    found[#found + 1] = redis.call('HGET', KEYS[2], key)
end
return { instance, version, 0, found }

-- What both scripts begin with. KEYS: the table, the records, the changes.

-- For how many versions it is known what they changed.
local REMEMBERED = 4096

local function field(info, name)
    return string.match(info, name .. ':(%w+)')
end

-- Which life of which Redis answers; nothing if it is no master. It is asked anew each time: a connection may outlive a
-- master's time as a replica, in which it was given another's memory.
local function life_of_server()
    local replication = redis.call('INFO', 'replication')
    if field(replication, 'role') ~= 'master' then
        return nil
    end
    return field(redis.call('INFO', 'server'), 'run_id') .. '-' .. field(replication, 'master_replid')
end

-- The nonce, the version and the format of the table; nothing if there is none, or a part of it is gone: a Redis that
-- may evict keys takes one and leaves the others.
local function state()
    local found = redis.call('HMGET', KEYS[1], 'nonce', 'version', 'records', 'format')
    if not found[1] or tonumber(found[3]) ~= redis.call('HLEN', KEYS[2]) then
        return nil
    end
    return found[1], found[2], found[4]
end

local NO_MASTER = redis.error_reply('READONLY this Redis is no master')
local OTHER_FORMAT = redis.error_reply('DITSFORMAT the lock table has another format than 1')

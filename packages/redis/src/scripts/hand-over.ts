/**
 * Lua: gives a free lock to the first in line who can be told. Comes after `value` and `fence`.
 *
 * A member of the queue is an owner; a trailing "~" says that it polls, because it cannot be told. The part of an owner up
 * to its first colon is the channel of its process. A message is "delay owner lock-key": ask again in so many ms.
 */
export const handOver: string = `
-- ms in which a grant has to be confirmed: told by a release, passed on by a waiter, granted to whoever is cut off, and
-- granted by a user who may not tell, so that the claim finds it when it asks of its own accord.
local claimWindow, passWindow, unheardWindow, untoldWindow = 1500, 250, 500, 5100

local function waiting(rank)
  return redis.call('ZRANGE', KEYS[2], rank, rank)[1]
end

local function ownerOf(member)
  return (string.gsub(member, '~$', ''))
end

-- How many were told; 0: its connection is gone; -1: this user has no right to tell.
local function tell(member, delay)
  if string.sub(member, -1) == '~' then return 1 end
  local channel = string.match(member, '^[^:]+')
  local told = redis.pcall('PUBLISH', channel, delay .. ' ' .. member .. ' ' .. KEYS[1])
  if failed(told) then return -1 end
  return told
end

-- Takes the first "count" out of the line after the lock was granted to "member". false: there is no memory for it.
local function grant(member, count, now, window)
  local fence = nextFence(now)
  if not fence then return false end
  local owner = ownerOf(member)
  if failed(redis.pcall('SET', KEYS[1], owner .. '|' .. fence .. '|g', 'PX', window)) then return false end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, count - 1)
  -- Somebody has to look whether the grant is confirmed.
  for rank = 0, 7 do
    local watcher = waiting(rank)
    if not watcher or tell(watcher, window) ~= 0 then break end
  end
  return true
end

-- The first in line who can be told, and how many before it cannot. Telling comes before writing: it may fail.
local function heir(me)
  local gone = 0
  while true do
    local member = waiting(gone)
    if not member or ownerOf(member) == me then return member, gone end
    local told = tell(member, 0)
    if told < 0 then return nil, gone, true end
    if told > 0 then return member, gone end
    gone = gone + 1
  end
end

-- For whoever gives the lock up. When nobody can be told, all of them may have lost their connections at once: the first
-- keeps the lock for a moment and the others their places. After a DEL, Redis lets a script write also when memory is full.
local function handOver()
  local member, gone = heir()
  local first = member or (gone > 0 and waiting(0))
  redis.call('DEL', KEYS[1])
  if member then
    grant(member, gone + 1, serverMicros(), claimWindow)
  elseif first then
    grant(first, 1, serverMicros(), unheardWindow)
  end
end
`;

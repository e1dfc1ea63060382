import { mark } from "../layout.js";

/** How the error starts that says which limit is in use for the key. */
export const otherLimit = "DLOCK_LIMIT";
/** How the error starts that says of which type the value is that has the lock's name. */
export const otherType = "DLOCK_TYPE";

/**
 * Lua: reads the lock string and owners, first of all in every script. `owner|fence` is a hold, `owner|fence|g` a grant that its
 * owner has not confirmed yet, `dlock2.|kind` says that several hold, and whatever does not start with the mark of this layout
 * belongs to somebody else: another library, or another layout. A kind is "s" for readers, "p3" for three permits; "" where one holds alone.
 */
export const value: string = `
-- The lock string; or nothing, and the error that says what else lies there: that is no lock, and stays as it is.
local function lockString()
  local value = redis.pcall('GET', KEYS[1])
  if type(value) ~= 'table' then return value end
  if string.sub(value.err, 1, 9) ~= 'WRONGTYPE' then return nil, value end
  local kind = redis.pcall('TYPE', KEYS[1])
  return nil, redis.error_reply('${otherType} ' .. (kind.ok or 'value'))
end

-- Written by this layout; another library, and another layout of dlock, are strangers.
local function isOurs(value)
  return string.sub(value, 1, ${mark.length}) == '${mark}'
end

local function fenceOf(value, owner)
  if value and string.sub(value, 1, #owner + 1) == owner .. '|' then
    return string.match(value, '^%d+', #owner + 2)
  end
end

local function groupOf(value)
  return value and isOurs(value) and string.match(value, '^|([sp]%d*)$', ${mark.length + 1})
end

local function kindOf(owner)
  return string.match(owner, '^[^:]+:([sp]%d*)%.') or ''
end
`;

/**
 * Lua: reads the lock string and owners. `owner|fence` is a hold, `owner|fence|g` a grant that its owner has not confirmed yet,
 * `dlock1.|kind` says that several hold, and whatever does not start with the mark of this layout belongs to somebody else:
 * another library, or another layout. A kind is "s" for readers, "p3" for three permits; "" where one holds alone.
 */
export const value: string = `
local function fenceOf(value, owner)
  if value and string.sub(value, 1, #owner + 1) == owner .. '|' then
    return string.match(value, '^%d+', #owner + 2)
  end
end

local function groupOf(value)
  return value and string.match(value, '^dlock1%.|([sp]%d*)$')
end

local function kindOf(owner)
  return string.match(owner, '^[^:]+:([sp]%d*)%.') or ''
end
`;

/**
 * Lua: reads the lock string. `owner|fence` is a hold, `owner|fence|g` a grant that its owner has not confirmed yet, and
 * whatever does not start with the mark of this layout belongs to somebody else: another library, or another layout.
 */
export const value: string = `
local function fenceOf(value, owner)
  if value and string.sub(value, 1, #owner + 1) == owner .. '|' then
    return string.match(value, '^%d+', #owner + 2)
  end
end
`;

-- Checks of an event's fields, one function for each kind of bound. Each returns the value, or refuses the event with the name
-- of the field and the remedy.

-- Text that is not empty, not too long, and UTF-8. Printable ASCII, the usual case, costs one anchored scan, which
-- is three times as fast as a search.
local function check_utf8(field, value, most)
  if value and #value <= most and find(value, '^[ -~]+$') then
    return value
  end
  if not value then
    refuse_event('INVALID_FIELD', field .. ' is missing: add it')
  end
  if value == '' then
    refuse_event('INVALID_FIELD', field .. ' is empty: give a value or leave the field out if it is optional')
  end
  if #value > most then
    refuse_event('INVALID_FIELD', field .. ' has ' .. #value .. ' bytes: keep it within ' .. most)
  end
  if find(value, '[\128-\255]') and not is_utf8(value) then
    refuse_event('INVALID_FIELD', field .. ' is not UTF-8: encode it as UTF-8')
  end
  return value
end

-- An id or name: short, printable text.
local function check_id(field, value, most)
  if value and #value <= most and find(value, '^[ -~]+$') then
    return value
  end
  check_utf8(field, value, most)
  if find(value, '%c') then
    refuse_event('INVALID_FIELD', field .. ' holds a control character: use printable text')
  end
  return value
end

-- One of up to three words.
local function check_choice(field, value, first, second, third)
  if value and (value == first or value == second or value == third) then
    return value
  end
  check_utf8(field, value, limit.id)
  refuse_event('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give ' .. concat({ first, second, third }, ' or '))
end

-- A whole number within bounds, returned as text in one spelling. A double keeps 15 digits exactly.
local function check_number(field, value, least, most)
  check_utf8(field, value, limit.id)
  local number = #value <= 16 and find(value, '^%-?%d+$') and tonumber(value)
  if not number or number < least or number > most then
    refuse_event('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give a whole number from ' .. format_int(least) .. ' to '
      .. format_int(most))
  end
  return format_int(number + 0) -- a zero has two signs
end

-- Text that must parse as JSON; it is stored as it came.
local function check_json(field, value, most)
  check_utf8(field, value, most)
  if not pcall(cjson.decode, value) then
    refuse_event('INVALID_FIELD', field .. ' is not JSON: encode it as JSON')
  end
  return value
end

-- A language code: letters, digits and hyphens (BCP 47 has no other characters), never a pattern.
local function check_lang(field, value, most)
  check_utf8(field, value, most)
  if not find(value, '^%w[%w-]*$') then
    refuse_event('INVALID_FIELD', field .. ' is no language code: use letters, digits and hyphens, such as zh or pt-BR')
  end
  return value
end

-- The name of a source. It becomes a part of keys, of patterns of an ACL and of ids: nothing in it has a meaning there.
local function check_source(field, value, most)
  check_utf8(field, value, most)
  if not find(value, '^[%w._-]+$') then
    refuse_event('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': use letters, digits, dot, hyphen and underscore')
  end
  return value
end

-- The id of an entry of a stream.
local function check_entry(field, value, most)
  check_utf8(field, value, limit.id)
  if #value > most or not find(value, '^%d+%-%d+$') then
    refuse_event('INVALID_FIELD', field .. ' is ' .. format('%q', value) .. ': give the id of an entry, such as 1700000000000-0')
  end
  return value
end

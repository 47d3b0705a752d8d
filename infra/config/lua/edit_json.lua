-- Changes the top-level fields of a JSON object as text. Whatever isn't named in `changes` keeps the form that its
-- sender gave it: Kong's own transformers decode and encode the whole body, and numbers of more than 14 digits change.
-- Anything but an object stays as it is.

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function utf8(code)
  local function tail(shift) return 0x80 + math.floor(code / shift) % 0x40 end
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xC0 + math.floor(code / 0x40), tail(1)) end
  if code < 0x10000 then return string.char(0xE0 + math.floor(code / 0x1000), tail(0x40), tail(1)) end
  return string.char(0xF0 + math.floor(code / 0x40000), tail(0x1000), tail(0x40), tail(1))
end

-- Returns a field's name without JSON's escapes: "\u0061" is "a" to every parser.
local function unescaped(name)
  local parts, at = {}, 1
  while true do
    local backslash = name:find("\\", at, true)
    if not backslash then
      parts[#parts + 1] = name:sub(at)
      return table.concat(parts)
    end
    parts[#parts + 1] = name:sub(at, backslash - 1)
    local kind = name:sub(backslash + 1, backslash + 1)
    local code = kind == "u" and tonumber(name:match("^%x%x%x%x", backslash + 2) or "", 16)
    at = backslash + (code and 6 or 2)
    if code and code >= 0xD800 and code < 0xDC00 then
      local low = tonumber(name:match("^\\u(%x%x%x%x)", at) or "", 16)
      if low and low >= 0xDC00 and low < 0xE000 then
        code, at = 0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00, at + 6
      end
    end
    parts[#parts + 1] = code and utf8(code) or ESCAPES[kind] or kind
  end
end

-- Returns the position after the string that begins at `from`.
local function after_string(text, from)
  local at = from + 1
  while true do
    local found = text:find('["\\]', at)
    if not found then return nil end
    if text:sub(found, found) == '"' then return found + 1 end
    at = found + 2
  end
end

-- Returns the position after the value that begins at `from`.
local function after_value(text, from)
  local first = text:sub(from, from)
  if first == '"' then return after_string(text, from) end
  if first ~= "{" and first ~= "[" then return text:match("^[%w.+-]+()", from) end
  local depth, at = 0, from
  repeat
    local found, _, mark = text:find('(["{}%[%]])', at)
    if not found then return nil end
    if mark == '"' then
      at = after_string(text, found)
      if not at then return nil end
    else
      depth, at = depth + ((mark == "{" or mark == "[") and 1 or -1), found + 1
    end
  until depth == 0
  return at
end

-- Returns the fields of an object in their order; nil if the text isn't one.
local function fields_of(text)
  local at = text:match("^%s*{%s*()")
  if not at then return nil end
  local fields = {}
  if text:find("^}%s*$", at) then return fields end
  while true do
    local name_end = text:sub(at, at) == '"' and after_string(text, at)
    local value_at = name_end and text:match("^%s*:%s*()", name_end)
    local value_end = value_at and after_value(text, value_at)
    if not value_end then return nil end
    fields[#fields + 1] = {
      name = unescaped(text:sub(at + 1, name_end - 2)),
      written = text:sub(at, name_end - 1),
      value = text:sub(value_at, value_end - 1),
    }
    local mark, next_at = text:match("^%s*([,}])%s*()", value_end)
    if mark == "}" then return next_at > #text and fields or nil end
    if not mark then return nil end
    at = next_at
  end
end

local function has(fields, name)
  for _, field in ipairs(fields) do
    if field.name == name then return true end
  end
  return false
end

local function remove(fields, name)
  for i = #fields, 1, -1 do
    if fields[i].name == name then table.remove(fields, i) end
  end
end

local function edit(text)
  local fields = fields_of(text)
  if not fields then return text end
  for _, old in ipairs(changes.remove) do remove(fields, old.name) end
  for _, pair in ipairs(changes.rename) do
    if pair.old.name ~= pair.new.name and has(fields, pair.old.name) then
      remove(fields, pair.new.name)
      for _, field in ipairs(fields) do
        if field.name == pair.old.name then field.name, field.written = pair.new.name, pair.new.written end
      end
    end
  end
  for _, new in ipairs(changes.set) do
    local first = true
    for i = #fields, 1, -1 do
      if fields[i].name == new.name then
        if first then fields[i].value, first = new.value, false else table.remove(fields, i) end
      end
    end
    if first then fields[#fields + 1] = new end
  end
  for _, new in ipairs(changes.add) do
    if not has(fields, new.name) then fields[#fields + 1] = new end
  end
  local written = {}
  for i, field in ipairs(fields) do written[i] = field.written .. ":" .. field.value end
  return "{" .. table.concat(written, ",") .. "}"
end

local function is_json(content_type)
  content_type = type(content_type) == "string" and content_type:lower() or ""
  return content_type:find("^application/json") or content_type:find("^application/[^;]*%+json")
end

local function answers_json()
  return is_json(kong.response.get_header("Content-Type")) and not kong.response.get_header("Content-Encoding")
end

local phases = {}

function phases.access()
  if not is_json(kong.request.get_header("Content-Type")) then return end
  -- nginx may have written the body to a file; it is read whatever its size, or a long body would pass unchanged.
  local body, problem = kong.request.get_raw_body(2 ^ 40)
  if not body then error(problem) end
  if body == "" and #changes.set + #changes.add > 0 then body = "{}" end
  if body ~= "" then kong.service.request.set_raw_body(edit(body)) end
end

function phases.header_filter()
  if answers_json() then kong.response.clear_header("Content-Length") end
end

function phases.body_filter()
  if not answers_json() then return end
  local body = kong.response.get_raw_body() -- nil until the last part
  if body and body ~= "" then kong.response.set_raw_body(edit(body)) end
end

return phases[phase]

-- Runs in Kong's rewrite phase, before the route is looked up and before any other plugin.

-- Headers by which Kong names the consumer to a service: a client's own are removed.
local identity = {}
for _, name in ipairs(identity_headers) do identity[name] = true end

-- Headers that Kong sets for each request. With an underscore in its name a client's own would pass beside Kong's, and
-- a server that follows CGI (WSGI, Rack, PHP) sees one name for both.
local forwarded = {}
for _, name in ipairs(forwarded_headers) do forwarded[name] = true end

return function()
  -- 0: all headers, of which there may be more than the 100 that plugins see.
  for name, value in pairs(ngx.req.get_headers(0, true)) do
    local hyphenated = name:lower():gsub("_", "-")
    if hyphenated == "host" and type(value) == "string" then
      -- Kong compares host names as they are written.
      ngx.req.set_header("Host", value:lower())
    elseif identity[hyphenated] or forwarded[hyphenated] and name:find("_", 1, true) then
      ngx.req.clear_header(name)
    end
  end
end

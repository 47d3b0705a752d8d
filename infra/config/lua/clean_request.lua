-- Runs in Kong's rewrite phase, before the route is looked up and before any other plugin.

-- Headers by which Kong names the consumer to a service: a client's own are removed.
local identity = {}
for name in ("id custom-id username groups"):gmatch("%S+") do identity["x-consumer-" .. name] = true end
for name in ("identifier username"):gmatch("%S+") do identity["x-credential-" .. name] = true end
identity["x-anonymous-consumer"] = true
identity["x-authenticated-groups"] = true

-- Headers that Kong sets for each request. With an underscore in its name a client's own would pass beside Kong's, and
-- a server that follows CGI (WSGI, Rack, PHP) sees one name for both.
local forwarded = { ["x-real-ip"] = true, ["x-kong-request-id"] = true }
for name in ("for proto host port path prefix"):gmatch("%S+") do forwarded["x-forwarded-" .. name] = true end

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

-- Notes are for the speaker; pictures lie beside the document and are named from the project's folder.
function Div(block)
  if block.classes:includes("notes") then return {} end
end
function Table(block)
  -- Without an alignment of their own, cells are centred as the table is.
  for index, column in ipairs(block.colspecs) do
    block.colspecs[index] = { pandoc.AlignLeft, column[2] }
  end
  return block
end
function Image(image)
  image.src = "/docs/" .. image.src
  return image
end

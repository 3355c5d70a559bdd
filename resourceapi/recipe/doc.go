// Package recipe is what a family cooks, and the way from there to a list.
//
//	GET, POST          /v1/families/{family_id}/recipes
//	GET, PATCH, DELETE …/recipes/{recipe_id}
//	POST               …/recipes/{recipe_id}/shop   {list_id, servings}
//
// Shopping scales the ingredients to the servings and puts them on the list by
// the rules of package item: what is there already grows.
package recipe

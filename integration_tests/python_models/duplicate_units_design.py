def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "duplicate_units",
        dbt.config.meta_get("study"),
        units=dbt.ref("duplicate_units_units"),
        session=session,
        scores=dbt.ref("duplicate_units_scores"),
    )

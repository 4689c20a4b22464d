def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "darfur",
        dbt.config.meta_get("study"),
        units=dbt.ref("darfur_units"),
        session=session,
        scores=dbt.ref("darfur_scores"),
    )
